"""SEVA's own preparation of photos and intrinsics (spec section 9).

The engine hands this plugin scenes that already have the model's size; these functions are for
whoever wants exactly the pixels that SEVA's own pipeline would use, from files of any size.
"""

import math
from typing import Literal

from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from sphinx_framework.errors import SceneError

Fit = Literal["crop", "pad", "stretch"]


def over_white(pixels: UInt8[Tensor, "H W C"]) -> Float[Tensor, "1 3 H W"]:
    """RGB or RGBA bytes to [-1, 1], transparency over white."""
    image = pixels.float().permute(2, 0, 1)[None] / 255
    if image.shape[1] == 4:
        image = image[:, :3] * image[:, 3:] + (1 - image[:, 3:])
    return image[:, :3] * 2 - 1


def size_of_short_side(source: tuple[int, int], short_side: int, stride: int) -> tuple[int, int]:
    """``(height, width)`` with a short side near ``short_side``, sides multiples of ``stride``."""
    ratio = max(source) / min(source)
    short, long = (
        math.floor(side / stride + 0.5) * stride for side in (short_side, int(short_side * ratio))
    )
    return (short, long) if source[0] <= source[1] else (long, short)


def prepared(
    image: Float[Tensor, "1 3 H W"],
    intrinsics: Float[Tensor, "3 3"],
    size: tuple[int, int],
    fit: Fit = "crop",
) -> tuple[Float[Tensor, "1 3 h w"], Float[Tensor, "3 3"]]:
    """Resize by area averaging, then crop or pad around the centre.

    Args:
        image: in [-1, 1].
        intrinsics: in pixels of ``image``, or normalised (principal point in [0, 1]).
        size: ``(height, width)`` of the result.
        fit: ``crop`` covers the size, ``pad`` lies within it on mid-grey, ``stretch`` distorts.

    Returns:
        The image and its intrinsics, normalised by the final width and height.

    Raises:
        SceneError: unknown ``fit``.
    """
    source = (image.shape[2], image.shape[3])
    resized_size = _resized_size(source, size, fit)
    resized = F.interpolate(image, resized_size, mode="area")
    # Where the resized image begins on the result; negative where it is cut.
    top, left = (_offset(r, s) for r, s in zip(resized_size, size, strict=True))
    bottom, right = size[0] - resized_size[0] - top, size[1] - resized_size[1] - left
    fitted = F.pad(resized, (left, right, top, bottom))
    is_normalised = bool(((intrinsics[:2, 2] >= 0) & (intrinsics[:2, 2] <= 1)).all())
    height, width = (1, 1) if is_normalised else source
    factors = [[resized_size[1] / width], [resized_size[0] / height], [1.0]]
    k = intrinsics * intrinsics.new_tensor(factors)
    k[:2, 2] += k.new_tensor([left, top])
    return fitted, k / k.new_tensor([[size[1]], [size[0]], [1.0]])


def _resized_size(source: tuple[int, int], size: tuple[int, int], fit: str) -> tuple[int, int]:
    ratios = (size[0] / source[0], size[1] / source[1])
    if fit == "stretch":
        return size
    if fit == "pad":
        factor = min(ratios)
        return (
            min(size[0], math.ceil(factor * source[0])),
            min(size[1], math.ceil(factor * source[1])),
        )
    if fit == "crop":
        # Floating point may make the ceiling one pixel larger; SEVA's does the same.
        factor = max(ratios)
        return math.ceil(factor * source[0]), math.ceil(factor * source[1])
    raise SceneError(f"unknown fit {fit!r}.", hint="Choose crop, pad or stretch.")


def _offset(resized: int, size: int) -> int:
    if resized >= size:
        return -min(max(int(0.5 * resized) - size // 2, 0), resized - size)
    return (size - resized) // 2
