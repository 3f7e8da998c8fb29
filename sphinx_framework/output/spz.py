"""Gaussians as ``.spz``, the compressed splat format of phones and browsers, by gsply.

Coordinates are those of ``scene.ply``, unturned; the format names no axes. It keeps 24 bits of a
coordinate, 8 of a colour, of an opacity and of the logarithm of a scale.
"""

from pathlib import Path

import torch

from sphinx_framework.splatting.ply import gaussian_columns
from sphinx_framework.types import Gaussians
from sphinx_framework.types.origin import NO_MOVE, Origin

_BITS, _MOST_FRACTION = 23, 20
# Logarithms of scales that 8 bits hold, in sixteenths from -10; some may be clamped, not most.
_LOG_SCALES = (-10.0, 5.9)
_MOST_CLAMPED = 0.05


def spz_problem(gaussians: Gaussians, origin: Origin = NO_MOVE) -> str:
    """Why the format cannot hold these Gaussians; empty where it can.

    origin: where they lie in the world that they are to be written in.
    """
    if origin != NO_MOVE:
        far = max(map(abs, origin))
        return f"the scene is {far:g} from its world's origin, too far for it; scene.ply holds it"
    if len(gaussians.means) == 0:
        return "there is no Gaussian"
    columns = gaussian_columns(gaussians)
    reach = float(columns.means.abs().max())
    if not reach < 2 ** (_BITS - 1) - 1:
        return f"coordinates of {reach:g} are too large for the format; scene.ply holds them"
    low, high = _LOG_SCALES
    outside = (columns.log_scales < low) | (columns.log_scales > high)
    if float(outside.float().mean()) > _MOST_CLAMPED:
        return (
            "the Gaussians are smaller or larger than the format holds (5e-5 to 365 scene units); "
            "scene.ply holds them"
        )
    return ""


def write_spz(path: Path, gaussians: Gaussians) -> None:
    """Write Gaussians that :func:`spz_problem` has passed; harmonics above degree 3 are dropped.

    Positions get as many bits below the point as their largest coordinate leaves.
    """
    import gsply

    columns = gaussian_columns(gaussians)
    reach = float(columns.means.abs().max())
    fits = (bits for bits in range(_MOST_FRACTION, 1, -1) if reach * 2**bits < 2**_BITS - 1)
    data = gsply.GSData(
        means=columns.means.numpy(),
        scales=columns.log_scales.numpy(),
        quats=torch.nn.functional.normalize(columns.rotations, dim=1).numpy(),
        opacities=columns.logits.numpy(),
        sh0=columns.harmonics[..., 0].contiguous().numpy(),
        shN=columns.harmonics[..., 1:].transpose(1, 2).contiguous().numpy(),
    )
    gsply.write_spz(path, data, fractional_bits=next(fits, 1))
