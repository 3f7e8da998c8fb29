"""Records sorted by pixel: runs of equal pixels, and what happens front to back along a run."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def run_starts(pixels: Int[Tensor, " P"]) -> Int[Tensor, " P"]:
    """For every record of a sorted list, the index of the first record of the same pixel."""
    index = torch.arange(len(pixels), device=pixels.device)
    if len(pixels) == 0:
        return index
    first = torch.ones_like(pixels, dtype=torch.bool)
    first[1:] = pixels[1:] != pixels[:-1]
    return torch.where(first, index, 0).cummax(0).values


def transmittance_before(
    pixels: Int[Tensor, " P"], alphas: Float[Tensor, " P"]
) -> Float[Tensor, " P"]:
    """Light that reaches each record: the product of ``1 - alpha`` over its pixel's earlier ones.

    pixels: sorted; alphas: below 1. The product is a difference of cumulative logarithms, in
    float64 because the sum runs over all records.
    """
    logs = torch.log1p(-alphas.double())
    before = logs.cumsum(0) - logs
    return torch.exp(before - before[run_starts(pixels)]).to(alphas.dtype)
