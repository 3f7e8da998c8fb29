"""The authors' way to bring a photo to the model's size (spec section 5.1)."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def center_crop(
    photo: UInt8[np.ndarray, "H W 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """Cover ``size`` (height, width) with the photo, then cut its middle.

    The cover is a Lanczos resize; the crop box may lie at half pixels and is resampled bicubically.
    """
    height, width = size
    image = Image.fromarray(photo)
    if image.height / height > image.width / width:
        covered = (width, max(height, int(image.height / (image.width / width))))
    else:
        covered = (max(width, int(image.width / (image.height / height))), height)
    image = image.resize(covered, Image.Resampling.LANCZOS)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    box = (left, top, left + width, top + height)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, box=box))
