"""Photos of an upload: PNG, JPEG or WebP by content, one frame, not too large, decodable."""

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from sphinx_framework.quiet import quiet_warnings
from sphinx_framework.scenes.images import DAMAGED
from sphinx_framework.serve.problems import Problem, clean

FORMATS = ("PNG", "JPEG", "WEBP")
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


def check_photos(folder: Path, max_pixels: int, max_total: int) -> None:
    """Check every photo of a scene folder: all headers first, then all pixels, one at a time.

    Raises :class:`Problem` that names the photo.
    """
    photos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
    total = 0
    for photo in photos:
        total += _header(photo, photo.relative_to(folder).as_posix(), max_pixels)
        check_total(total, max_total)
    for photo in photos:
        _decode(photo, photo.relative_to(folder).as_posix())


def check_total(pixels: int, most: int) -> None:
    """Raise :class:`Problem` for photos that together are too many pixels to open."""
    if pixels > most:
        raise Problem(
            "scene-invalid",
            f"The photos have more than {most} pixels together, each as often as it is used.",
            hint="Send fewer or smaller photos.",
        )


def _header(photo: Path, name: str, max_pixels: int) -> int:
    with quiet_warnings():
        try:
            with Image.open(photo, formats=FORMATS) as image:
                pixels = image.width * image.height
                frames = getattr(image, "n_frames", 1)
        except UnidentifiedImageError:
            raise _bad(name, "is not a PNG, JPEG or WebP image") from None
        except DAMAGED:
            raise _bad(name, "cannot be read as an image") from None
    if pixels > max_pixels:
        raise _bad(name, f"has {pixels} pixels; at most {max_pixels} are allowed")
    if frames != 1:
        raise _bad(name, f"has {frames} frames; a photo has one")
    return pixels


def _decode(photo: Path, name: str) -> None:
    with quiet_warnings():
        try:
            with Image.open(photo, formats=FORMATS) as image:
                image.load()
        except DAMAGED:
            raise _bad(name, "is damaged or cut short") from None


def _bad(name: str, reason: str) -> Problem:
    return Problem(
        "scene-invalid",
        f"{clean(name, 100)}: {reason}.",
        hint="Export the photo again as PNG, JPEG or WebP.",
    )
