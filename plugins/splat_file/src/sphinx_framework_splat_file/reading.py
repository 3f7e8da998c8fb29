"""Gaussians from ``.ply`` (our reader) and ``.spz`` files (gsply)."""

import stat
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.geometry.rotations import matrices_from_quaternions
from sphinx_framework.splatting.ply import read_ply
from sphinx_framework.types import Gaussians


def read_gaussians(path: Path, origin: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Gaussians:
    """Read Gaussians; coordinates are taken as they are, but for the origin that is subtracted.

    Raises:
        SceneError: no regular file, another ending, or no Gaussians in it.
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError) as error:
        raise SceneError(f"{shown(path)}: cannot be opened ({shown(error)}).") from None
    if not regular:
        raise SceneError(f"{shown(path)}: is no regular file.")
    ending = path.suffix.lower()
    if ending not in (".ply", ".spz"):
        raise SceneError(f"{shown(path)}: is neither .ply nor .spz.")
    found = read_ply(path, origin=origin) if ending == ".ply" else _read_spz(path, origin)
    if len(found.means) == 0:
        raise SceneError(f"{shown(path)}: holds no Gaussian.")
    return found


def _read_spz(path: Path, origin: tuple[float, float, float]) -> Gaussians:
    import gsply

    try:
        data = gsply.read_spz(path)
        means, log_scales, quaternions = (
            _tensor(part, (-1, width))
            for part, width in ((data.means, 3), (data.scales, 3), (data.quats, 4))
        )
        logits = _tensor(data.opacities, (-1,))
        first = _tensor(data.sh0, (-1, 3))[..., None]
        others = _tensor(data.shN, (len(means), -1, 3)).mT if _any(data.shN) else first[..., :0]
    except Exception as error:  # a decoder of bytes raises anything on damaged ones
        raise SceneError(
            f"{shown(path)}: cannot be read as .spz ({shown(error)}).",
            hint="Export it again, or as .ply.",
        ) from None
    parts = (means, log_scales, quaternions, logits, first, others)
    if not all(bool(part.isfinite().all()) for part in parts):
        raise SceneError(f"{shown(path)}: holds NaN or infinity.")
    scales = log_scales.exp()
    rotations = torch.nn.functional.normalize(quaternions, dim=1)
    spread = matrices_from_quaternions(rotations) * scales[:, None]
    return Gaussians(
        means=(means.double() - means.double().new_tensor(origin)).float(),
        covariances=spread @ spread.mT,
        harmonics=torch.cat([first, others], dim=2),
        opacities=torch.sigmoid(logits),
        scales=scales,
        rotations=rotations,
    )


def _any(part: np.ndarray | None) -> bool:
    return part is not None and part.size > 0


def _tensor(part: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32)).reshape(shape)
