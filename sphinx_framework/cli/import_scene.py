"""``import``: photos, or a scene in any readable format, to a ``transforms.json`` folder."""

import argparse
from dataclasses import replace
from pathlib import Path

from sphinx_framework.cli.answer import print_json
from sphinx_framework.cli.estimators import choose_estimator, refuse_posed
from sphinx_framework.cli.next_command import render_command
from sphinx_framework.cli.outputs import open_output
from sphinx_framework.config import parse_override
from sphinx_framework.engine.components import choose_device, licence_entry, refuse_non_commercial
from sphinx_framework.errors import SceneError, shown
from sphinx_framework.folders.manifest import A_SCENE
from sphinx_framework.output.scene_folder import (
    SceneFolder,
    from_capture,
    from_photos,
    from_scene,
    write_scene_folder,
)
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.capture import Capture, checked_origin, known_range, shot_cameras
from sphinx_framework.scenes.capture_checks import capture_view_doubts, check_capture
from sphinx_framework.scenes.checks import camera_doubts
from sphinx_framework.scenes.images import read_header
from sphinx_framework.scenes.load import installed_readers, load_scene
from sphinx_framework.scenes.photo_checks import photo_doubts
from sphinx_framework.scenes.pose_answers import installed_estimator
from sphinx_framework.scenes.readers import read_capture, scene_path
from sphinx_framework.scenes.transforms import TRANSFORMS_FILE
from sphinx_framework.scenes.unposed import (
    file_cameras,
    frames_note,
    posed_scene,
    read_photo_stack,
    refuse_split,
    unposed_photos,
)
from sphinx_framework.texts import counted


def import_scene(arguments: argparse.Namespace) -> int:
    """Estimate or convert cameras, and write the scene folder."""
    registry = Registry.from_entry_points()
    source = scene_path(arguments.source)
    with (
        open_output(arguments.out, scenes=[arguments.source], holds=A_SCENE) as folder,
        unposed_photos(source, arguments.frames) as files,
    ):
        if files:
            refuse_split(source, arguments.split)
            scene, warnings = _posed(arguments, registry, source, files)
        else:
            if arguments.poses is not None:
                refuse_posed(arguments.source, arguments.poses)
            scene, warnings = _read(arguments, registry)
        with folder.replacing(last=TRANSFORMS_FILE) as new:
            write_scene_folder(new, scene)
    photos = sum(picture.name is not None for picture in scene.pictures)
    side = min((min(picture.size) for picture in scene.pictures), default=0)
    command, note = render_command(
        arguments.out, len(scene.inputs), len(scene.targets), registry, side
    )
    told = {
        "out": arguments.out,
        "photos": photos,
        "cameras": len(scene.pictures),
        "inputs": len(scene.inputs),
        "targets": len(scene.targets),
        "near": scene.near,
        "far": scene.far,
        "warnings": warnings,
        "next": command,
        "note": note,
    }
    if arguments.json:
        print_json(told)
        return 0
    print(
        f"{counted(photos, 'photo')} with cameras in {arguments.out} "
        f"({counted(len(scene.pictures), 'camera')}, {counted(len(scene.inputs), 'input')}, "
        f"{counted(len(scene.targets), 'target')})"
    )
    if scene.near is not None and scene.far is not None:
        print(f"depths: {scene.near:.3g} to {scene.far:.3g} in scene units")
    for warning in warnings:
        print(f"warning: {warning}")
    if command:
        print(f"render them with: {command}")
    if note:
        print(f"note: {note}")
    return 0


def _read(arguments: argparse.Namespace, registry: Registry) -> tuple[SceneFolder, list[str]]:
    """Everything the folder will hold, and what is doubtful about it."""
    options = {"split": arguments.split, "convention": arguments.convention}
    options["reader"] = arguments.reader
    readers = installed_readers(registry)
    capture = read_capture(arguments.source, readers=readers, **options)
    if capture is None:
        scene = load_scene(arguments.source, registry=registry, **options)
        return from_scene(scene), list(scene.warnings)
    missing = [i for i in capture.inputs if not _has_photo(capture, i)]
    if missing:
        raise SceneError(
            f"{capture.shots[missing[0]].where}: is an input, and its photo "
            f"{shown(capture.shots[missing[0]].file or '(not named)')} is not there.",
            hint="Check the file names, or choose other inputs with --split.",
        )
    first = capture.shots[capture.inputs[0]].file
    assert first is not None  # no input is without its photo
    doubts = check_capture(capture, Path(arguments.source), read_header(first).size)
    near, far = known_range(capture)  # may read the depths of all inputs: once, for both below
    capture = replace(capture, near=near, far=far)
    return from_capture(capture), [*capture.warnings, *doubts, *_doubts(capture)]


def _has_photo(capture: Capture, index: int) -> bool:
    file = capture.shots[index].file
    return file is not None and file.is_file()


def _doubts(capture: Capture) -> list[str]:
    """The input check: cameras and photos that will likely do badly."""
    near, far = capture.near, capture.far
    shots = [capture.shots[index] for index in capture.inputs]
    files = [shot.file for shot in shots if shot.file is not None]
    size = read_header(files[0]).size
    others = [capture.shots[index] for index in capture.targets]
    origin, rounded = checked_origin(shots, others, near)
    inputs = shot_cameras(shots, size, "crop", default_size=size, origin=origin)
    targets = shot_cameras(others, size, "crop", default_size=size, origin=origin)
    seen = (*camera_doubts(inputs, targets, near, far), *capture_view_doubts(shots, others))
    cameras = (*rounded, *seen)
    absent = sum(not _has_photo(capture, index) for index in range(len(capture.shots)))
    told = [f"{absent} of {len(capture.shots)} cameras have no photo"] if absent else []
    return [*told, *cameras, *photo_doubts(files)]


def _posed(
    arguments: argparse.Namespace, registry: Registry, source: Path, files: list[Path]
) -> tuple[SceneFolder, list[str]]:
    name = choose_estimator(arguments.poses, registry)
    spec = registry.find("poses", name)
    if arguments.licence_policy == "permissive":
        refuse_non_commercial((licence_entry("poses", spec, registry.distribution_of(spec)),))
    values = dict(parse_override(text) for text in arguments.overrides)
    options = registry.options("poses", name, values, "--set")
    photos = read_photo_stack(files)
    estimator = installed_estimator(name, options, choose_device(arguments.device), registry)
    scene = posed_scene(photos, estimator, source.name)
    folder = from_photos(files, file_cameras(photos, scene), scene.near, scene.far)
    few = frames_note(source, len(files), arguments.frames)
    doubts = [*([few] if few else []), *scene.warnings, *photo_doubts(files)]
    return folder, doubts
