"""Weights in the order that a processor's kernels read them, put into it once a request.

oneDNN reorders the weights of a convolution at every call, and a convolution along frames wants
its own laid out side by side: of a step with few rows that is a good part. What is kept here has
the same values, so a step has the same bytes with it and without.
"""

from collections.abc import Callable

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


def windows_conv2d(
    site: str, conv: nn.Conv2d, windows: Float[Tensor, "R C i j"], kept: KeptWeights | None
) -> Float[Tensor, "R D a b"]:
    """The convolution without padding of windows whose channels lie side by side."""
    if kept is None or not _packs(conv, windows):
        return F.conv2d(windows, conv.weight, conv.bias, conv.stride, 0, conv.dilation, conv.groups)
    shape = [0, 0], list(conv.stride), list(conv.dilation), conv.groups
    packed = kept.of(site, conv.weight, lambda: _packed(conv.weight, shape, windows.shape))
    out: Tensor = torch.ops.mkldnn._convolution_pointwise(
        windows, packed, conv.bias, *shape, "none", [], ""
    )
    return out


def _packs(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether oneDNN takes the call and nobody asks for its gradient."""
    return (
        x.device.type == "cpu"
        and x.dtype is torch.float32
        and not torch.is_grad_enabled()
        and x.is_contiguous(memory_format=torch.channels_last)
        and torch.backends.mkldnn.is_available()
    )


def _packed(
    weight: Tensor, shape: tuple[list[int], list[int], list[int], int], of: torch.Size
) -> Tensor:
    """The weights as oneDNN's kernel for these windows wants them."""
    padding, stride, dilation, groups = shape
    made: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
        weight.detach(), padding, stride, dilation, groups, list(of)
    )
    return made
