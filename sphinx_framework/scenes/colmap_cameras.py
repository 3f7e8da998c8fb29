"""COLMAP's camera models: which are pinhole cameras, and what their parameters are."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError, shown, suggestion

# Models by their number: name, and how many parameters they have.
MODELS = (
    ("SIMPLE_PINHOLE", 3),
    ("PINHOLE", 4),
    ("SIMPLE_RADIAL", 4),
    ("RADIAL", 5),
    ("OPENCV", 8),
    ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12),
    ("FOV", 5),
    ("SIMPLE_RADIAL_FISHEYE", 4),
    ("RADIAL_FISHEYE", 5),
    ("THIN_PRISM_FISHEYE", 12),
    ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
    ("SIMPLE_DIVISION", 4),
    ("DIVISION", 5),
    ("SIMPLE_FISHEYE", 3),
    ("FISHEYE", 4),
    ("EUCM", 6),
    ("EQUIRECTANGULAR", 2),
)
_F, _C = ("f", "cx", "cy"), ("fx", "fy", "cx", "cy")
# Parameters of those that are pinhole cameras, with OpenCV's distortion.
_PINHOLES = {
    "SIMPLE_PINHOLE": _F,
    "PINHOLE": _C,
    "SIMPLE_RADIAL": (*_F, "k1"),
    "RADIAL": (*_F, "k1", "k2"),
    "OPENCV": (*_C, "k1", "k2", "p1", "p2"),
    "FULL_OPENCV": (*_C, "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
}
UNDISTORT = "Run COLMAP's image_undistorter and use its output."
_MOST = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCamera:
    """A camera as it stands in the file. size: (height, width)."""

    model: str
    size: tuple[int, int]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A usable camera. size: (height, width). distortion: OpenCV's terms by key."""

    size: tuple[int, int]
    intrinsics: Float[Tensor, "3 3"]
    distortion: dict[str, float]


def usable_camera(raw: RawCamera, where: str) -> Camera:
    """The pinhole camera that a row says.

    Raises:
        SceneError: no pinhole camera, or a size or parameters that cannot be.
    """
    name = raw.model.upper()
    names = _PINHOLES.get(name)
    if names is None:
        known = name in dict(MODELS)
        near = "" if known else suggestion(name, list(_PINHOLES))
        raise SceneError(
            f"{where}: the camera model {shown(raw.model)} is not a pinhole camera.",
            hint=f"{near}{UNDISTORT}",
        )
    if len(raw.values) != len(names):
        raise SceneError(
            f"{where}: {name} has the {len(names)} parameters {', '.join(names)}; here are "
            f"{len(raw.values)}."
        )
    if min(raw.size) < 1 or max(raw.size) > _MOST or not np.isfinite(raw.values).all():
        raise SceneError(f"{where}: its size or parameters cannot be.")
    named = dict(zip(names, raw.values, strict=True))
    fx, fy = (named.pop("f"),) * 2 if "f" in named else (named.pop("fx"), named.pop("fy"))
    k = [[fx, 0, named.pop("cx")], [0, fy, named.pop("cy")], [0, 0, 1]]
    odd = [key for key, value in named.items() if value and key in ("k4", "k5", "k6")]
    if odd:
        raise SceneError(
            f"{where}: {name}'s {odd[0]} is not 0, which is not understood.", hint=UNDISTORT
        )
    return Camera(size=raw.size, intrinsics=torch.tensor(k, dtype=torch.float64), distortion=named)
