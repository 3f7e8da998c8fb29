"""``import``: photos, or a scene in any readable format, to a ``transforms.json`` folder."""

import argparse
import json
from pathlib import Path

from sphinx_framework.cli.outputs import open_output
from sphinx_framework.config import parse_override
from sphinx_framework.engine.components import choose_device, licence_entry, refuse_non_commercial
from sphinx_framework.errors import SceneError
from sphinx_framework.output.scene_folder import write_scene_folder
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.scenes.transforms import TRANSFORMS_FILE
from sphinx_framework.scenes.unposed import photo_files, posed_scene, read_photo_stack
from sphinx_framework.types import Scene


def import_scene(arguments: argparse.Namespace) -> int:
    """Estimate or convert cameras, and write the scene folder."""
    out = Path(arguments.out)
    registry = Registry.from_entry_points()
    with open_output(arguments.out, scenes=[arguments.source]) as folder:
        scene = _scene(arguments, registry)
        with folder.replacing(last=TRANSFORMS_FILE) as new:
            write_scene_folder(new, scene)
    told = {
        "out": str(out),
        "photos": len(scene.inputs),
        "near": scene.near,
        "far": scene.far,
        "warnings": list(scene.warnings),
    }
    if arguments.json:
        print(json.dumps(told))
        return 0
    print(f"{len(scene.inputs)} photos with cameras are in {out}")
    if scene.near is not None and scene.far is not None:
        print(f"depths: {scene.near:.3g} to {scene.far:.3g} in scene units")
    for warning in scene.warnings:
        print(f"warning: {warning}")
    print(f"render them with: sphinx-nvs render --scene {out} --targets interpolate:23 ...")
    return 0


def _scene(arguments: argparse.Namespace, registry: Registry) -> Scene:
    source = Path(arguments.source)
    files = photo_files(source)
    if not files:
        return load_scene(arguments.source, registry=registry, convention=arguments.convention)
    if arguments.poses is None:
        raise SceneError(
            f"{source}: has photos but no cameras.",
            hint="Estimate them: --poses "
            f"{' or --poses '.join(registry.names('poses')) or 'NAME (no estimator installed)'}.",
        )
    spec = registry.find("poses", arguments.poses)
    if arguments.licence_policy == "permissive":
        refuse_non_commercial((licence_entry("poses", spec, registry.distribution_of(spec)),))
    values = dict(parse_override(text) for text in arguments.overrides)
    options = registry.options("poses", arguments.poses, values, "--set")
    device = choose_device(arguments.device)
    images = read_photo_stack(files)
    estimator = registry.build("poses", arguments.poses, options, device)
    return posed_scene(images, estimator.estimate_poses(images), source.name)
