"""Image files in and out: any common format to float32 RGB in [0, 1], and 8-bit PNG back."""

import io
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.quiet import quiet_warnings

# Pillow reports damaged files through all of these, depending on the format.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    MemoryError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
# Of the scale: what resampling may leave beyond its ends.
_SLACK = 1e-3
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
# Photos come in these; Pillow knows some forty more, a few of which run other programs.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
_HEIC = (".heic", ".heif")
# The largest photo that phones take; 1.6 GB as float32.
MAX_PIXELS = 2**27
_ORIENTATION = 0x0112
# Pillow turns TIFFs as their tag says, whether asked or not; this turns them back.
_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def read_image(
    path: "Photo",
    *,
    upright: bool = True,
    formats: Sequence[str] = FORMATS,
    max_pixels: int = MAX_PIXELS,
) -> Float[Tensor, "3 H W"]:
    """Read an image file as float32 RGB in [0, 1].

    Transparency is composited over white, 16-bit grey keeps its depth, palettes and CMYK are
    converted to RGB.

    Args:
        path: the file; HEIC needs pillow-heif.
        upright: apply the EXIF orientation. Cameras of posed photos belong to the pixels as stored.
        formats: the only formats of Pillow that are tried.
        max_pixels: larger images are refused from their header, before anything is decoded.

    Raises:
        SceneError: no file, a pipe or folder, not an image, too large, or cut short.
    """
    with _opened(path, formats, max_pixels) as image:
        orientation = _orientation(image)
        image.load()
        if upright:
            shown_as = ImageOps.exif_transpose(image)
        elif image.format == "TIFF" and orientation in _BACK:
            shown_as = image.transpose(_BACK[orientation])
        else:
            shown_as = image
        array = _rgb_array(shown_as, path)
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedPhoto:
    """An image file inside of another file, such as a frame of a video's chunk.

    where: the file and the place in it, for messages. name: as a file of its own would have.
    """

    where: str
    name: str
    data: bytes = field(repr=False)

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""
        return PurePath(self.name).suffix

    def is_file(self) -> bool:
        """True: it is there."""
        return True

    def __str__(self) -> str:
        return self.where


Photo = Path | PackedPhoto


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What an image file says about itself.

    size: (height, width) as stored. orientation: of EXIF, 1 when it is to be shown as stored.
    alpha: whether it has transparency.
    """

    size: tuple[int, int]
    orientation: int
    alpha: bool


def read_header(
    path: Photo, *, formats: Sequence[str] = FORMATS, max_pixels: int = MAX_PIXELS
) -> Header:
    """Read the header only; raises :class:`SceneError` as :func:`read_image` does."""
    with _opened(path, formats, max_pixels) as image:
        orientation = _orientation(image)
        turned = image.format == "TIFF" and orientation >= 5
        return Header(
            size=(image.width, image.height) if turned else (image.height, image.width),
            orientation=orientation,
            alpha=image.has_transparency_data,
        )


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none that is known."""
    found = image.getexif().get(_ORIENTATION, 1)
    return found if found in range(1, 9) else 1


def read_exif(path: Path, block: int) -> tuple[tuple[int, int], Mapping[int, Any]]:
    """Size (height, width) as stored, and one block of EXIF by tag; empty where there is none."""
    with _opened(path, FORMATS, MAX_PIXELS) as image:
        return (image.height, image.width), dict(image.getexif().get_ifd(block))


def read_values(path: Path) -> Float[np.ndarray, "H W"]:
    """The numbers of a grey image as they are stored, float64; raises as :func:`read_image`."""
    with _opened(path, FORMATS, MAX_PIXELS) as image:
        image.load()
        if image.mode not in (*_DEEP_GREY, "F", "L"):
            raise SceneError(
                f"{shown(path)}: is a picture in colours ({image.mode}), not one of depths.",
                hint="Depths are grey PNG or TIFF of 16 or 32 bits, or .npy.",
            )
        return np.asarray(image).astype(np.float64)


def has_transparency(path: Photo) -> bool:
    """Whether any pixel of an image is not opaque; an alpha channel alone says nothing."""
    with _opened(path, FORMATS, MAX_PIXELS) as image:
        image.load()
        alpha = image.convert("RGBA").getchannel("A")
        return bool(alpha.getextrema() != (255, 255))


@contextmanager
def _opened(path: Photo, formats: Sequence[str], max_pixels: int) -> Iterator[Image.Image]:
    """An open image within its limits; whatever fails inside is a clear error."""
    known = [*formats, "HEIF"] if path.suffix.lower() in _HEIC and _heif(path) else list(formats)
    try:
        if isinstance(path, Path) and not stat.S_ISREG(path.stat().st_mode):
            raise SceneError(
                f"{shown(path)}: cannot be read as an image (a folder, pipe or device)."
            )
        # Pillow warns about odd metadata of readable files.
        with quiet_warnings(), Image.open(_source(path), formats=known) as image:
            if image.width * image.height > max_pixels:
                raise SceneError(
                    f"{shown(path)}: has {image.width}x{image.height} pixels (width x height); "
                    f"the limit is {max_pixels} in all.",
                    hint="Scale the photo down first.",
                )
            yield image
    except FileNotFoundError as cause:
        raise SceneError(
            f"{shown(path)}: no such image file.",
            hint="Put the photo there, or correct its name in the file that names it.",
        ) from cause
    except DAMAGED as cause:
        raise SceneError(
            f"{shown(path)}: cannot be read as an image ({_reason(cause, path)}).",
            hint="The file may be cut short or of an unknown format; export it again as one of "
            f"{', '.join(formats)}.",
        ) from cause


def _source(path: Photo) -> Path | io.BytesIO:
    return io.BytesIO(path.data) if isinstance(path, PackedPhoto) else path


def _reason(cause: Exception, path: Photo) -> str:
    """What Pillow found, without a second copy of the path."""
    if isinstance(cause, UnidentifiedImageError):
        return "not of a known format"
    told = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return shown(told.replace(str(path), path.name))


def _heif(path: Photo) -> bool:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise SceneError(
            f"{shown(path)}: is a HEIC photo, and pillow-heif is not installed.",
            hint="Run: pip install 'sphinx-framework[heic]', or export the photo as JPEG.",
        ) from None
    register_heif_opener()
    return True


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


def _rgb_array(image: Image.Image, path: Photo) -> np.ndarray:
    """Return a float32 ``[H, W, 3]`` array in [0, 1]."""
    if image.mode in _DEEP_GREY or image.mode == "F":
        whole = 1 if image.mode == "F" else 65535
        values = np.asarray(image).astype(np.float32)
        _check_values(values, whole, path, wide=image.mode == "I")
        return np.repeat((values / whole).clip(0, 1)[..., None], 3, axis=2)
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB")).astype(np.float32) / 255
    pixels = np.asarray(image.convert("RGBA")).astype(np.float32) / 255
    alpha = pixels[..., 3:]
    return pixels[..., :3] * alpha + (1 - alpha)


def _check_values(values: np.ndarray, whole: int, path: Photo, *, wide: bool) -> None:
    """Numbers of another scale would be clipped to white, or black: nobody asked for that picture.

    wide: the numbers are of 32 bits, which says nothing of where white lies.
    """
    if not np.isfinite(values).all():
        raise SceneError(
            f"{shown(path)}: holds NaN or infinity.", hint="Export it as 8 or 16 bits."
        )
    low, high = float(values.min()), float(values.max())
    if wide and 0 < high <= 255:
        raise SceneError(
            f"{shown(path)}: holds 32-bit numbers of at most {high:.6g}: the values of an 8-bit "
            "photo, or of a 16-bit one that is nearly black?",
            hint="Export it as 8 or 16 bits.",
        )
    if low < -_SLACK * whole or high > (1 + _SLACK) * whole:
        raise SceneError(
            f"{shown(path)}: holds values from {low:.6g} to {high:.6g}; those of a photo lie "
            f"within 0 and {whole}.",
            hint="Export it as 8 or 16 bits.",
        )
