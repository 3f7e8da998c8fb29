"""Spherical-harmonic colours of Gaussians, in the usual basis of 3-D Gaussian splatting.

Everywhere in the framework ``Gaussians.harmonics`` are coefficients of the *standard* basis (the
one of ``.ply`` files, viewers and gsplat), up to degree 3; further coefficients are ignored.
MVSplat's weights were trained with a renderer of other axes and one irregular term;
:func:`standard_from_mvsplat` converts its coefficients without changing any colour.
"""

import torch
from jaxtyping import Float
from torch import Tensor

MAX_COEFFICIENTS = 16
_DC = 0.28209479177387814


def standard_basis(directions: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 16"]:
    """Real spherical harmonics of degrees 0 to 3 at unit directions, with 3DGS's signs."""
    x, y, z = directions.unbind(dim=-1)
    xx, yy, zz = x * x, y * y, z * z
    values = [
        torch.full_like(x, _DC),
        -0.4886025119029199 * y,
        0.4886025119029199 * z,
        -0.4886025119029199 * x,
        1.0925484305920792 * x * y,
        -1.0925484305920792 * y * z,
        0.31539156525252005 * (2 * zz - xx - yy),
        -1.0925484305920792 * x * z,
        0.5462742152960396 * (xx - yy),
        -0.5900435899266435 * y * (3 * xx - yy),
        2.890611442640554 * x * y * z,
        -0.4570457994644658 * y * (4 * zz - xx - yy),
        0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
        -0.4570457994644658 * x * (4 * zz - xx - yy),
        1.445305721320277 * z * (xx - yy),
        -0.5900435899266435 * x * (xx - 3 * yy),
    ]
    return torch.stack(values, dim=-1)


def mvsplat_basis(directions: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 16"]:
    """The basis MVSplat was trained with: the standard one on axes (z, x, y), except term 14.

    That term has the factor z where the relabelled harmonic has y, which makes it a mixture of
    degrees 1 and 3.
    """
    values = standard_basis(directions.roll(1, dims=-1))
    x, _, z = directions.unbind(dim=-1)
    values[..., 14] = 1.445305721320277 * z * (z * z - x * x)
    return values


def standard_from_mvsplat(harmonics: Float[Tensor, "*n 3 d"]) -> Float[Tensor, "*n 3 e"]:
    """Coefficients of MVSplat's basis to the standard basis; every colour stays the same.

    harmonics: degree-major with 1, 4, 9, 16 or more coefficients; those after the 16th are dropped,
    as MVSplat's renderer does. Fewer than 16 stay as many, because the conversion keeps degrees
    below 3 apart.
    """
    count = min(harmonics.shape[-1], MAX_COEFFICIENTS)
    change = _change_of_basis()[:count, :count].to(harmonics)
    return harmonics[..., :count] @ change


def harmonic_colours(
    harmonics: Float[Tensor, "G 3 d"], directions: Float[Tensor, "G 3"]
) -> Float[Tensor, "G 3"]:
    """Colour of every Gaussian seen along a unit direction: ``max(0, 0.5 + sum_n c_n b_n)``.

    directions: from the camera centre to the Gaussian, in world axes. There is no upper clamp.
    """
    count = min(harmonics.shape[-1], MAX_COEFFICIENTS)
    basis = standard_basis(directions)[:, None, :count]
    return ((harmonics[..., :count] * basis).sum(dim=-1) + 0.5).clamp(min=0)


def base_colours(harmonics: Float[Tensor, "*n 3 d"]) -> Float[Tensor, "*n 3"]:
    """Colours without what depends on the direction, in [0, 1]."""
    return (harmonics[..., 0] * _DC + 0.5).clamp(0, 1)


def harmonics_from_colours(colours: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3 1"]:
    """Degree-0 coefficients that show a colour in [0, 1] from every side."""
    return ((colours - 0.5) / _DC)[..., None]


def _change_of_basis() -> Float[Tensor, "16 16"]:
    """Matrix ``M`` with ``mvsplat_basis = standard_basis @ M.T``, hence ``c_standard = c @ M``.

    Both bases span the same 16 functions on the sphere, so least squares over more than 16
    directions in general position is exact up to rounding in float64.
    """
    index = torch.arange(64, dtype=torch.float64)
    height = 1 - (2 * index + 1) / 64
    angle = index * 2.399963229728653  # The golden angle spreads the points evenly.
    ring = (1 - height**2).sqrt()
    directions = torch.stack([ring * angle.cos(), ring * angle.sin(), height], dim=1)
    return torch.linalg.lstsq(standard_basis(directions), mvsplat_basis(directions)).solution.T
