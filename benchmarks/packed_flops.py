"""Operations of torch's counter, those of oneDNN's kernels on reordered weights included."""

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, mm_flop


def flop_counter() -> FlopCounterMode:
    """A counter (2 per multiply-add) that knows the kernels of ``executors/kept.py``, too."""
    packed = torch.ops.mkldnn
    return FlopCounterMode(
        display=False,
        custom_mapping={packed._convolution_pointwise: _conv, packed._linear_pointwise: _linear},
    )


def _conv(x: Any, weight: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return int(conv_flop_count(x, weight, out_shape))


def _linear(x: Any, weight: Any, *_: Any, **__: Any) -> int:
    return int(mm_flop(x, weight[::-1]))
