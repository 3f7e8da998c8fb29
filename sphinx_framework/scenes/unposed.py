"""Photos without cameras: reading them, and the scene that estimated cameras make of them."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.protocols import EstimatedCameras
from sphinx_framework.scenes.images import read_image
from sphinx_framework.scenes.photos import CAMERAS_FILE
from sphinx_framework.scenes.transforms import TRANSFORMS_FILE
from sphinx_framework.types import Scene

PHOTO_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def photo_files(path: Path) -> list[Path]:
    """Photos directly in a folder, by name; empty when it has cameras or is no folder."""
    if not path.is_dir() or (path / TRANSFORMS_FILE).exists() or (path / CAMERAS_FILE).exists():
        return []
    return sorted(file for file in path.iterdir() if file.suffix.lower() in PHOTO_ENDINGS)


def read_photo_stack(files: list[Path]) -> Float[Tensor, "N 3 H W"]:
    """Read photos of one size; raises :class:`SceneError` naming the one that differs."""
    if not files:
        raise SceneError("there are no photos to read.", hint="Give image files or a folder.")
    images = [read_image(file) for file in files]
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            height, width = image.shape[-2:]
            raise SceneError(
                f"{file}: is {height}x{width}, but {files[0].name} is "
                f"{images[0].shape[-2]}x{images[0].shape[-1]}.",
                hint="Photos without cameras must share one size.",
            )
    return torch.stack(images)


def posed_scene(images: Float[Tensor, "N 3 H W"], found: EstimatedCameras, name: str) -> Scene:
    """All photos as inputs with their estimated cameras; targets are chosen afterwards."""
    return Scene(
        images=images,
        inputs=found.cameras,
        targets=found.cameras,
        name=name,
        near=found.near,
        far=found.far,
        order=None,
        warnings=found.warnings,
    )
