"""Photos to the network's input: resize, crop to whole patches, normalise.

The crop decides what the network's pixels mean, so every preparation returns a
:class:`Preparation` that carries intrinsics there and back.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.images import to_uint8

SQUARE_SIZE = 224
PATCH = 16

Size = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How a photo becomes a network image: resized, then cut.

    source, resized, size: ``(height, width)`` of the photo, after resizing, and of the result.
    top, left: first row and column of the resized photo that is kept.
    """

    source: Size
    resized: Size
    size: Size
    top: int
    left: int

    @property
    def scale(self) -> tuple[float, float, float]:
        """Factors of the rows of an intrinsic matrix from photo to resized photo."""
        return self.resized[1] / self.source[1], self.resized[0] / self.source[0], 1.0

    def intrinsics_to_resized(self, intrinsics: Float[Tensor, "*V 3 3"]) -> Float[Tensor, "*V 3 3"]:
        """Intrinsics of the photo to those of the resized, uncut photo."""
        return intrinsics * intrinsics.new_tensor(self.scale)[:, None]

    def intrinsics_to_network(self, intrinsics: Float[Tensor, "*V 3 3"]) -> Float[Tensor, "*V 3 3"]:
        """Intrinsics of the photo to those of the network image (centres at half-integers)."""
        moved = self.intrinsics_to_resized(intrinsics)
        moved[..., 0, 2] -= self.left
        moved[..., 1, 2] -= self.top
        return moved

    def intrinsics_to_photo(self, intrinsics: Float[Tensor, "*V 3 3"]) -> Float[Tensor, "*V 3 3"]:
        """Inverse of :meth:`intrinsics_to_network`."""
        moved = intrinsics.clone()
        moved[..., 0, 2] += self.left
        moved[..., 1, 2] += self.top
        return moved / moved.new_tensor(self.scale)[:, None]


def preparation(source: Size, image_size: int, *, square_ok: bool = False) -> Preparation:
    """Decide sizes for a photo of size ``source`` (height, width).

    image_size: long side after resizing; 224 means a centred square whose side is 224.

    Raises:
        SceneError: nothing would be left, because the photo is too elongated.
    """
    height, width = source
    long_side = max(height, width)
    target = image_size
    if image_size == SQUARE_SIZE:
        target = round(SQUARE_SIZE * max(width / height, height / width))
    resized = (round(height * target / long_side), round(width * target / long_side))
    centre_y, centre_x = resized[0] // 2, resized[1] // 2
    if image_size == SQUARE_SIZE:
        half_y = half_x = min(centre_y, centre_x)
    else:
        half_y, half_x = _whole_patches(centre_y), _whole_patches(centre_x)
        if resized[0] == resized[1] and not square_ok:
            half_y = 3 * half_x // 4
    if min(half_y, half_x) == 0:
        raise SceneError(
            f"a photo of {width}x{height} (width x height) leaves nothing to see at a long side "
            f"of {target} pixels.",
            hint=f"The shorter side must keep at least {PATCH} pixels: crop the photo, or raise "
            "image_size.",
        )
    return Preparation(
        source=source,
        resized=resized,
        size=(2 * half_y, 2 * half_x),
        top=centre_y - half_y,
        left=centre_x - half_x,
    )


def prepare_photo(photo: UInt8[Tensor, "3 H W"], plan: Preparation) -> UInt8[Tensor, "3 h w"]:
    """Resize and cut a photo: Lanczos when it shrinks, bicubic when it grows."""
    image = Image.fromarray(photo.permute(1, 2, 0).cpu().numpy())
    shrinks = max(plan.source) > max(plan.resized)
    method = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    image = image.resize((plan.resized[1], plan.resized[0]), method)
    box = (plan.left, plan.top, plan.left + plan.size[1], plan.top + plan.size[0])
    pixels = np.array(image.crop(box))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def prepare_photos(photos: Float[Tensor, "N 3 H W"], plan: Preparation) -> UInt8[Tensor, "N 3 h w"]:
    """Prepare photos with values in [0, 1] that share one size."""
    return torch.stack([prepare_photo(photo, plan) for photo in to_uint8(photos)])


def network_input(pixels: UInt8[Tensor, "N 3 h w"]) -> Float[Tensor, "N 3 h w"]:
    """Bytes to the network's range [-1, 1]."""
    return pixels.float() / 255 * 2 - 1


def _whole_patches(centre: int) -> int:
    """Half of the largest side that is a multiple of the patch and fits around a centre."""
    return math.floor(2 * centre / PATCH) * PATCH // 2
