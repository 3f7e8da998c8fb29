"""Reads folders with a ``views.json`` and PNG files."""

import json
from pathlib import Path
from typing import Any

import torch

from sphinx_framework.errors import SceneError
from sphinx_framework.options import Options
from sphinx_framework.scenes.images import read_image
from sphinx_framework.types import Cameras, Scene

FILE = "views.json"


class ViewsReader:
    """``{"views": [{"file", "world_from_camera", "focal", "use": "input" | "target"}]}``."""

    def __init__(self, options: Options, device: torch.device) -> None:
        """Nothing to load."""

    def can_read(self, path: Path) -> bool:
        """Whether the file is there."""
        return (path / FILE).is_file()

    def read(self, path: Path, **options: Any) -> Scene:
        """The scene at its own size."""
        file = path / FILE
        if not self.can_read(path):
            raise SceneError(f"{path}: has no {FILE}.")
        try:
            views = json.loads(file.read_text(encoding="utf-8"))["views"]
            poses = torch.tensor([view["world_from_camera"] for view in views]).float()
            focal = [float(view["focal"]) for view in views]
            inputs = [i for i, view in enumerate(views) if view["use"] == "input"]
            targets = [i for i, view in enumerate(views) if view["use"] == "target"]
            files = [path / views[i]["file"] for i in inputs]
        except (KeyError, TypeError, ValueError, RuntimeError) as cause:
            raise SceneError(
                f"{file}: cannot be used ({type(cause).__name__}: {cause})."
            ) from cause
        if not inputs or not targets:
            raise SceneError(f"{file}: needs a view of use 'input' and one of use 'target'.")
        photos = [read_image(photo) for photo in files]
        if len({photo.shape for photo in photos}) != 1:
            raise SceneError(f"{path}: the photos differ in size.")
        height, width = photos[0].shape[-2:]
        lens = torch.tensor([[[f, 0, width / 2], [0, f, height / 2], [0, 0, 1]] for f in focal])
        cameras = Cameras(world_from_camera=poses, intrinsics=lens, image_size=(height, width))
        return Scene(
            images=torch.stack(photos),
            inputs=cameras[inputs],
            targets=cameras[targets],
            name=path.name,
        )
