"""Convolutions along frames on a CPU, as one matrix product over the frames that a kernel reads."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework.executors.kept import KeptWeights

# From this many cells of a map on, a product per frame reads its frames where they lie.
MANY_CELLS = 64


def taps_first(site: str, conv: nn.Conv3d, kept: KeptWeights | None) -> Float[Tensor, "D tapsC"]:
    """Weights of a convolution along frames, the channels of a tap side by side."""

    def make() -> Tensor:
        return conv.weight.flatten(2).transpose(1, 2).flatten(1)

    return make() if kept is None else kept.of(site, conv.weight, make)


def mixed_frames(
    near: Float[Tensor, "R taps C a b"], conv: nn.Conv3d, weight: Float[Tensor, "D tapsC"]
) -> Float[Tensor, "R D a b"]:
    """The convolution of rows whose neighbours have been gathered, whole frames at a time.

    weight: of :func:`taps_first`, here and below.
    """
    rows, taps, channels, height, width = near.shape
    bias = _bias(conv)[:, None]
    if height * width >= MANY_CELLS:
        stacked = near.reshape(rows, taps * channels, height * width)
        mixed = torch.baddbmm(bias, weight.expand(rows, -1, -1), stacked)
        return mixed.unflatten(2, (height, width))
    # Maps of few cells make thin products: those of all rows are one.
    side_by_side = near.permute(2, 1, 0, 3, 4).reshape(channels * taps, -1)
    joined = torch.addmm(bias, conv.weight.flatten(1), side_by_side)
    return joined.view(-1, rows, height, width).transpose(0, 1).contiguous()


def mixed_cells(
    near: Float[Tensor, "n taps C"], conv: nn.Conv3d, weight: Float[Tensor, "D tapsC"]
) -> Float[Tensor, "n D"]:
    """The same for cells that lie with their channels side by side."""
    return torch.addmm(_bias(conv), near.flatten(1), weight.t())


def _bias(conv: nn.Conv3d) -> Tensor:
    """The bias, or zeros."""
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias
