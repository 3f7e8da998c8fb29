"""A scene as a ``transforms.json`` folder that any reader of the format opens."""

import json
from pathlib import Path

from sphinx_framework.output.transforms import write_transforms
from sphinx_framework.scenes.images import write_png
from sphinx_framework.scenes.transforms import TRANSFORMS_FILE
from sphinx_framework.types import Scene


def write_scene_folder(out: Path, scene: Scene) -> None:
    """Write a scene's photos and input cameras as a ``transforms.json`` folder."""
    folder = out / "images"
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"images/{index:03d}.png" for index in range(len(scene.inputs))]
    for name, image in zip(names, scene.images, strict=True):
        write_png(out / name, image)
    write_transforms(out / TRANSFORMS_FILE, scene.inputs, file_paths=names)
    split = {"train_ids": list(range(len(names))), "test_ids": list(range(len(names)))}
    (out / f"train_test_split_{len(names)}.json").write_text(json.dumps(split))
