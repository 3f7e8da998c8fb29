"""Rotation of spherical-harmonic coefficients, polar axis y."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

# More directions than any band has functions, spread over the sphere.
DIRECTIONS = 40
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def rotate_harmonics(
    harmonics: Float[Tensor, "*batch n d"], rotation: Float[Tensor, "*batch 3 3"]
) -> Float[Tensor, "*batch n d"]:
    """Rotate ``n`` sets of coefficients, ``d = (degree + 1)**2``, by one rotation per batch."""
    degree = math.isqrt(harmonics.shape[-1]) - 1
    matrix = rotation_matrix(rotation, degree).to(harmonics.dtype)
    return harmonics @ matrix.transpose(-1, -2)


def rotation_matrix(
    rotation: Float[Tensor, "*batch 3 3"], degree: int
) -> Float[Tensor, "*batch d d"]:
    """Block-diagonal ``D`` with ``Y(R u) = D(R) Y(u)`` for all unit ``u``, float64.

    Solved band by band from fixed directions: exact to rounding, for any rotation.
    """
    turn = rotation.double()
    directions = _spread_directions(turn.device)
    turned = directions @ turn.transpose(-1, -2)
    blocks = turn.new_zeros(*turn.shape[:-2], (degree + 1) ** 2, (degree + 1) ** 2)
    for band in range(degree + 1):
        place = slice(band**2, (band + 1) ** 2)
        solve = torch.linalg.pinv(band_values(directions, band))
        blocks[..., place, place] = (solve @ band_values(turned, band)).transpose(-1, -2)
    return blocks


def band_values(directions: Float[Tensor, "*n 3"], band: int) -> Float[Tensor, "*n m"]:
    """Real harmonics of one band at unit directions, up to a common factor.

    The usual formulas hold, without the Condon-Shortley sign, with the axes renamed cyclically:
    X = z, Y = x, Z = y.
    """
    y, z, x = directions.unbind(-1)
    one = torch.ones_like(x)
    root = math.sqrt
    if band == 0:
        values = [one]
    elif band == 1:
        values = [y, z, x]
    elif band == 2:
        values = [x * y, y * z, (3 * z**2 - 1) / (2 * root(3)), x * z, (x**2 - y**2) / 2]
    elif band == 3:
        values = [
            root(5 / 8) * y * (3 * x**2 - y**2),
            root(15) * x * y * z,
            root(3 / 8) * y * (5 * z**2 - 1),
            (5 * z**3 - 3 * z) / 2,
            root(3 / 8) * x * (5 * z**2 - 1),
            root(15) / 2 * (x**2 - y**2) * z,
            root(5 / 8) * x * (x**2 - 3 * y**2),
        ]
    elif band == 4:
        values = [
            3 / 4 * root(35) * x * y * (x**2 - y**2),
            3 / 4 * root(35 / 2) * y * z * (3 * x**2 - y**2),
            3 / 4 * root(5) * x * y * (7 * z**2 - 1),
            3 / 4 * root(5 / 2) * y * z * (7 * z**2 - 3),
            3 / 16 * (35 * z**4 - 30 * z**2 + 3),
            3 / 4 * root(5 / 2) * x * z * (7 * z**2 - 3),
            3 / 8 * root(5) * (x**2 - y**2) * (7 * z**2 - 1),
            3 / 4 * root(35 / 2) * x * z * (x**2 - 3 * y**2),
            3 / 16 * root(35) * (x**4 - 6 * x**2 * y**2 + y**4),
        ]
    else:
        raise ValueError(f"harmonics of band {band} are not defined here (0 to 4 are)")
    return torch.stack(values, dim=-1)


def _spread_directions(device: torch.device) -> Float[Tensor, "n 3"]:
    """A spiral of unit vectors without symmetries."""
    index = torch.arange(DIRECTIONS, dtype=torch.float64, device=device)
    height = 1 - (2 * index + 1) / DIRECTIONS
    radius = (1 - height**2).sqrt()
    angle = index * GOLDEN_ANGLE
    return torch.stack([radius * angle.cos(), height, radius * angle.sin()], dim=-1)
