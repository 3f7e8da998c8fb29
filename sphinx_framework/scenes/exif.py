"""The focal length that photos state in their EXIF."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from sphinx_framework.scenes.images import read_exif

_EXIF, _FOCAL, _FOCAL_35MM = 0x8769, 0x920A, 0xA405
_PLANE_X, _PLANE_UNIT, _PIXELS_X = 0xA20E, 0xA210, 0xA002
_MILLIMETRES = {2: 25.4, 3: 10.0, 4: 1.0}
# Of a 36 x 24 mm picture; "35 mm equivalent" compares diagonals (CIPA DCG-001).
_DIAGONAL = math.hypot(36, 24)
_AGREE = 1.03


def focal_of(file: Path) -> float | None:
    """Focal length in pixels of a photo as it is stored, or ``None`` where it says none.

    From the 35 mm equivalent, else from the focal length and the sensor's pixels per length.
    """
    (height, width), exif = read_exif(file, _EXIF)
    equivalent = _number(exif.get(_FOCAL_35MM))
    if equivalent:
        return equivalent / _DIAGONAL * math.hypot(width, height)
    focal, density = _number(exif.get(_FOCAL)), _number(exif.get(_PLANE_X))
    unit = _MILLIMETRES.get(exif.get(_PLANE_UNIT, 2))
    original = _number(exif.get(_PIXELS_X))
    if focal and density and unit and original:
        return focal * density / unit * width / original
    return None


def common_focal(files: Sequence[Path]) -> float | None:
    """The focal length that all photos state, within 3 percent; else ``None``."""
    found = [focal_of(file) for file in files]
    known = [focal for focal in found if focal is not None]
    if not known or len(known) < len(found) or max(known) > _AGREE * min(known):
        return None
    return statistics.median(known)


def _number(value: object) -> float:
    """A positive number, or 0: EXIF has rationals with zero denominators, texts, anything."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0
