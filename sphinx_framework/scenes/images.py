"""Image files in and out: any common format to float32 RGB in [0, 1], and 8-bit PNG back."""

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from sphinx_framework.errors import SceneError

# Pillow reports damaged files through all of these, depending on the format.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    Image.DecompressionBombError,
)
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def read_image(path: Path) -> Float[Tensor, "3 H W"]:
    """Read an image file as upright float32 RGB in [0, 1].

    The EXIF orientation is applied, transparency is composited over white, 16-bit grey keeps its
    depth, palettes and CMYK are converted to RGB.

    Raises:
        SceneError: the file is missing, not an image, or cut short.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about odd metadata of readable files.
            with Image.open(path) as image:
                image.load()
                array = _rgb_array(ImageOps.exif_transpose(image))
    except FileNotFoundError as cause:
        raise SceneError(
            f"{path}: no such image file.", hint="Check the file names in the scene's JSON."
        ) from cause
    except _DAMAGED as cause:
        raise SceneError(
            f"{path}: cannot be read as an image ({cause}).",
            hint="The file may be cut short or of an unknown format; export it again.",
        ) from cause
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))


def write_png(path: Path, image: Float[Tensor, "3 H W"]) -> None:
    """Write an image as 8-bit RGB PNG, ``round(255 * x)`` with ``x`` clamped to [0, 1]."""
    path.write_bytes(png_bytes(image))


def png_bytes(image: Float[Tensor, "3 H W"]) -> bytes:
    """The file that :func:`write_png` writes."""
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image).permute(1, 2, 0).cpu().numpy()).save(buffer, format="PNG")
    return buffer.getvalue()


def to_uint8(images: Float[Tensor, "*any"]) -> UInt8[Tensor, "*any"]:
    """Quantise values in [0, 1] to bytes by ``round(255 * x)``."""
    return (images.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)


def _rgb_array(image: Image.Image) -> np.ndarray:
    """Return a float32 ``[H, W, 3]`` array in [0, 1]."""
    if image.mode in _DEEP_GREY:
        grey = np.asarray(image).astype(np.float32) / 65535
        return np.repeat(grey.clip(0, 1)[..., None], 3, axis=2)
    if image.mode == "F":
        return np.repeat(np.asarray(image).clip(0, 1)[..., None], 3, axis=2)
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB")).astype(np.float32) / 255
    pixels = np.asarray(image.convert("RGBA")).astype(np.float32) / 255
    alpha = pixels[..., 3:]
    return pixels[..., :3] * alpha + (1 - alpha)
