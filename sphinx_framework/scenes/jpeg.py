"""Colours of finely quantised JPEGs, whose two colour planes are stored at half of the resolution.

Decoders enlarge those planes by a triangle filter, which blurs what the file holds. A cubic one
comes nearer to the picture that was compressed wherever the planes are quantised finely; where they
are not, it enlarges their noise too, and the decoder's own colours stay.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

# (number, across, down) of each plane: colours at half of the resolution both ways.
_HALVED = ((1, 2, 2), (2, 1, 1), (3, 1, 1))
# Mean step of the colour planes, above which a cubic filter does not pay; quality 95 has 9.
_FINEST = 10.0
_ROUNDS = 6


def as_planes(image: Any) -> bool:
    """Have an opened image decoded to brightness and colour planes, where that is of use."""
    layers = tuple(tuple(layer[:3]) for layer in getattr(image, "layer", ()) or ())
    if image.format != "JPEG" or image.mode != "RGB" or layers != _HALVED:
        return False
    steps = image.quantization.get(image.layer[1][3])
    if not steps or image.width % 2 or image.height % 2 or np.mean(steps) > _FINEST:
        return False
    image.draft("YCbCr", image.size)
    return bool(image.mode == "YCbCr")


def rgb_of_planes(image: Image.Image) -> Float[np.ndarray, "H W 3"]:
    """RGB in [0, 1] of an image that :func:`as_planes` took, turned by quarters or not."""
    import cv2

    planes: UInt8[np.ndarray, "H W 3"] = np.asarray(image)
    height, width = planes.shape[:2]
    bright = planes[..., 0].astype(np.float32)
    blue, red = (
        cv2.resize(_stored(planes[..., i]), (width, height), interpolation=cv2.INTER_CUBIC) - 128
        for i in (1, 2)
    )
    # JFIF's conversion (ITU-R BT.601, full range).
    colours = [
        bright + 1.402 * red,
        bright - 0.344136 * blue - 0.714136 * red,
        bright + 1.772 * blue,
    ]
    rgb: Float[np.ndarray, "H W 3"] = np.stack(colours, axis=-1).clip(0, 255).round() / 255
    return rgb.astype(np.float32)


def _stored(plane: UInt8[np.ndarray, "H W"]) -> Float[np.ndarray, "h w"]:
    """A plane as the file holds it: what the triangle filter enlarged to this one."""
    height, width = plane.shape
    mean = plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3), dtype=np.float32)
    found = mean
    for _ in range(_ROUNDS):
        rows = np.pad(found, ((0, 0), (1, 1)), mode="edge")
        along = 0.75 * found + 0.125 * (rows[:, :-2] + rows[:, 2:])
        columns = np.pad(along, ((1, 1), (0, 0)), mode="edge")
        found = found + mean - (0.75 * along + 0.125 * (columns[:-2] + columns[2:]))
    return found
