"""Convolutions along frames on a CPU, as one product over the frames that a kernel reads."""

from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework.executors.kept import KeptWeights, packed_conv2d, packed_product


def mixed_frames(
    site: str,
    near: Float[Tensor, "R taps C a b"],
    conv: nn.Conv3d,
    kept: KeptWeights | None,
) -> Float[Tensor, "R D a b"]:
    """The convolution of rows whose neighbours have been gathered, whole frames at a time."""
    weight = _taps_first(site, conv, kept)[..., None, None]
    return packed_conv2d(site, near.flatten(1, 2), weight, conv, kept)


def mixed_cells(
    site: str, near: Float[Tensor, "n taps C"], conv: nn.Conv3d, kept: KeptWeights | None
) -> Float[Tensor, "n D"]:
    """The same for cells that lie with their channels side by side."""
    return packed_product(site, near.flatten(1), _taps_first(site, conv, kept), conv.bias, kept)


def _taps_first(site: str, conv: nn.Conv3d, kept: KeptWeights | None) -> Float[Tensor, "D tapsC"]:
    """The weights, with the channels of a tap side by side."""

    def make() -> Tensor:
        return conv.weight.flatten(2).transpose(1, 2).flatten(1)

    return make() if kept is None else kept.of(f"{site}.taps", conv.weight, make)
