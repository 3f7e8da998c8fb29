"""Weights in the order that a processor's kernels read them, put into it once a request.

oneDNN reorders the weights of a convolution at every call, and a convolution along frames wants
its own laid out side by side: of a step with few rows that is a good part. Only the order of what
is kept differs from the layer's own.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class KeptWeights:
    """Reordered weights by site; made anew where a layer's weights have changed since."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, int, Tensor]] = {}

    def of(self, site: str, weight: Tensor, make: Callable[[], Tensor]) -> Tensor:
        """What ``make`` makes of ``weight``."""
        state = weight.data_ptr(), weight._version
        known = self._kept.get(site)
        if known is None or known[:2] != state:
            known = self._kept[site] = (*state, make())
        return known[2]

    def clear(self) -> None:
        """Drop all."""
        self._kept.clear()


def keeps_for(kept: KeptWeights | None, x: Tensor) -> bool:
    """Whether what a request does not change is kept between its steps: on a CPU, uncompiled."""
    return kept is not None and x.device.type == "cpu"


def packed_conv2d(
    site: str,
    x: Float[Tensor, "R C a b"],
    weight: Float[Tensor, "D c i j"],
    conv: nn.Conv2d | nn.Conv3d,
    kept: KeptWeights | None,
    padding: Sequence[int] = (0, 0),
) -> Float[Tensor, "R D e f"]:
    """``x`` convolved with a padding of zeros, the weights reordered once where oneDNN reads them.

    conv: whose bias, stride, dilation and groups count, of its last two axes.
    """
    shape = list(padding), list(conv.stride[-2:]), list(conv.dilation[-2:]), conv.groups
    if kept is None or not _packs(x):
        return F.conv2d(x, weight, conv.bias, shape[1], shape[0], *shape[2:])
    packed = kept.of(
        f"{site}.convolution",
        weight,
        lambda: torch.ops.mkldnn._reorder_convolution_weight(
            weight.detach(), *shape, list(x.shape)
        ),
    )
    out: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, packed, conv.bias, *shape, "none", [], ""
    )
    return out


def packed_product(
    site: str,
    rows: Float[Tensor, "n C"],
    weight: Float[Tensor, "D C"],
    bias: Float[Tensor, " D"] | None,
    kept: KeptWeights | None,
) -> Float[Tensor, "n D"]:
    """``rows @ weight.T + bias``, the weights likewise reordered once."""
    if kept is None or not _packs(rows):
        return F.linear(rows, weight, bias)
    packed = kept.of(
        f"{site}.product",
        weight,
        lambda: torch.ops.mkldnn._reorder_linear_weight(weight.detach(), len(rows)),
    )
    out: Tensor = torch.ops.mkldnn._linear_pointwise(rows, packed, bias, "none", [], "")
    return out


def _packs(x: Tensor) -> bool:
    """Whether oneDNN takes the call and nobody asks for its gradient."""
    return (
        x.device.type == "cpu"
        and x.dtype is torch.float32
        and not torch.is_grad_enabled()
        and torch.backends.mkldnn.is_available()
    )
