"""Two-dimensional rotary position embedding, base 100."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

BASE = 100.0


class RotaryTable(NamedTuple):
    """Cosines and sines for the tokens of one image: ``[token, axis (y, x), pair]``."""

    cosines: Float[Tensor, "n 2 p"]
    sines: Float[Tensor, "n 2 p"]


def token_positions(rows: int, columns: int, device: torch.device) -> Int[Tensor, "n 2"]:
    """Positions (y, x) of the row-major tokens of a grid, counted from 0."""
    y, x = torch.arange(rows, device=device), torch.arange(columns, device=device)
    return torch.cartesian_prod(y, x).reshape(rows * columns, 2)


def rotary_table(positions: Int[Tensor, "n 2"], head_dim: int, dtype: torch.dtype) -> RotaryTable:
    """Angles ``position * 100**(-2k/D)`` of each axis, ``D = head_dim / 2``, ``k < D / 2``.

    Angles are computed in float32 and rounded to ``dtype`` before cosine and sine, as the
    checkpoints were trained.
    """
    half = head_dim // 2
    exponents = torch.arange(0, half, 2, dtype=torch.float32, device=positions.device) / half
    angles = (positions[..., None].float() / BASE**exponents).to(dtype)
    return RotaryTable(angles.cos(), angles.sin())


def rotate(
    tokens: Float[Tensor, "B heads n D"], table: RotaryTable
) -> Float[Tensor, "B heads n D"]:
    """Rotate the first half of each head by y, the second by x; pairs are (k, k + D/2)."""
    batch, heads, count, width = tokens.shape
    first, second = tokens.view(batch, heads, count, 2, 2, width // 4).unbind(dim=4)
    turned = torch.stack(
        (
            first * table.cosines - second * table.sines,
            second * table.cosines + first * table.sines,
        ),
        dim=4,
    )
    return turned.view(batch, heads, count, width)
