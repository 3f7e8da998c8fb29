"""Depths beside photos (nerfstudio's ``depth_file_path``): what near and far of a scene come from.

A grey image of 16 or 32 bits or a ``.npy`` array of the photo's shape; depth along the optical axis
is its value times ``depth_unit_scale_factor``, by default a thousandth, and 0 says unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.array_files import load_array
from sphinx_framework.scenes.images import MAX_PIXELS, read_values

DEPTH_KEY, UNIT_KEY = "depth_file_path", "depth_unit_scale_factor"
# Nerfstudio's: millimetres in a scene of metres.
DEFAULT_UNIT = 1e-3
_HINT = (
    "Depths are grey PNG or TIFF of 16 or 32 bits, or .npy; give near and far (--near, --far) "
    "to do without them."
)
_QUANTILES = (0.005, 0.995)
# A little beyond what single photos show.
_MARGINS = (0.9, 1.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthFile:
    """Depths of a photo. unit: scene units of the value 1. where: the place in the JSON file."""

    path: Path
    unit: float
    where: str


def read_depths(file: DepthFile) -> Float[np.ndarray, "H W"]:
    """Depths in scene units, 0 where unknown.

    Raises:
        SceneError: no such file, no grey image or array, or depths that cannot be.
    """
    try:
        values = _array(file) if file.path.suffix.lower() == ".npy" else _image(file)
    except SceneError as error:
        raise SceneError(error.message, hint=_HINT) from error
    known = np.isfinite(values) & (values != 0)
    if bool((values[known] < 0).any()):
        raise SceneError(
            f"{file.where}: {shown(file.path.name)} holds negative depths.", hint=_HINT
        )
    return np.where(known, values, 0.0) * file.unit


def depth_range(files: Sequence[DepthFile]) -> tuple[float | None, float | None]:
    """Near and far that hold almost all known depths; none where nothing is known."""
    found = [depths[depths > 0] for depths in map(read_depths, files)]
    known = np.concatenate(found) if found else np.zeros(0)
    if not len(known):
        return None, None
    near, far = np.quantile(known, _QUANTILES)
    return float(near * _MARGINS[0]), float(far * _MARGINS[1])


def _image(file: DepthFile) -> Float[np.ndarray, "H W"]:
    try:
        return read_values(file.path)
    except SceneError as error:
        raise SceneError(f"{file.where}: {error.message}") from error


def _array(file: DepthFile) -> Float[np.ndarray, "H W"]:
    name = shown(file.path.name)
    found = load_array(file.path, f"{file.where}: {name}")
    values = found.reshape(found.shape[:2]) if found.shape[2:] == (1,) else found
    if values.ndim != 2 or values.dtype.kind not in "fiu" or not 0 < values.size <= MAX_PIXELS:
        raise SceneError(
            f"{file.where}: {name} must be an array of numbers [H, W], got {found.dtype} "
            f"{found.shape}."
        )
    return values.astype(np.float64)
