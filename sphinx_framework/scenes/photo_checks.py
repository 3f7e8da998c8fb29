"""What photos themselves give away about how well they will do: blur, exposure, transparency."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.scenes.images import Photo, has_transparency, read_header, read_image
from sphinx_framework.texts import counted

# How much less detail than the median photo is blur, and how much brightness may differ.
_BLURRED = 0.25
_EXPOSURE = 0.15
_SIDE = 256


def photo_doubts(files: Sequence[Photo]) -> tuple[str, ...]:
    """Blurred photos, and brightness that jumps, by a small copy of each photo."""
    if len(files) < 2:
        return ()
    greys = [_grey(file) for file in files]
    detail = torch.stack([_detail(grey) for grey in greys])
    brightness = torch.stack([grey.mean() for grey in greys])
    told = []
    median = detail.median()
    for file, value in zip(files, detail, strict=True):
        if float(median) > 0 and float(value) < _BLURRED * float(median):
            told.append(f"{file.name}: has far less detail than the other photos; is it blurred?")
    gap = float(brightness.max() - brightness.min())
    if gap > _EXPOSURE:
        dark, light = files[int(brightness.argmin())].name, files[int(brightness.argmax())].name
        told.append(
            f"{dark} and {light}: mean brightness differs by {gap:.0%} of the range; photos of one "
            "exposure do better"
        )
    return tuple(told)


def transparency_note(files: Sequence[Photo]) -> str:
    """What is said of photos that are not opaque everywhere; empty where there are none."""
    clear = [file for file in files if read_header(file).alpha and has_transparency(file)]
    if not clear:
        return ""
    return f"{clear[0].name}: transparency is filled with white ({counted(len(clear), 'photo')})"


def _grey(file: Photo) -> Float[Tensor, "1 1 h w"]:
    image = read_image(file, upright=False).mean(dim=0, keepdim=True)[None]
    scale = _SIDE / max(image.shape[-2:])
    size = [max(3, round(side * scale)) for side in image.shape[-2:]]
    return functional.interpolate(image, size, mode="bilinear", antialias=True)


def _detail(grey: Float[Tensor, "1 1 h w"]) -> Float[Tensor, ""]:
    """Variance of the Laplacian."""
    kernel = torch.tensor([[[[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]]])
    return functional.conv2d(grey, kernel).var()
