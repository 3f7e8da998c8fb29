"""Photos without cameras: reading them, and the scene that estimated cameras make of them."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.protocols import EstimatedCameras
from sphinx_framework.scenes.files import HEIC_ENDINGS, PHOTO_ENDINGS, is_hidden, natural_key
from sphinx_framework.scenes.images import read_image
from sphinx_framework.scenes.photos import CAMERAS_FILE
from sphinx_framework.scenes.transforms import TRAIN_FILE, TRANSFORMS_FILE
from sphinx_framework.types import Scene

# A folder with one of these has cameras.
_POSED = (TRANSFORMS_FILE, TRAIN_FILE, CAMERAS_FILE)


def photo_files(path: Path) -> list[Path]:
    """Photos directly in a folder, ``b9`` before ``b10``; empty when it has cameras or is none.

    Hidden files, such as macOS's ``._a.jpg``, are none.
    """
    if not path.is_dir() or any((path / mark).exists() for mark in _POSED):
        return []
    endings = (*PHOTO_ENDINGS, *HEIC_ENDINGS)
    files = [f for f in path.iterdir() if f.suffix.lower() in endings and not is_hidden(f)]
    return sorted(files, key=lambda file: natural_key(file.name))


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
