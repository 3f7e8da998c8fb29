"""Two ways others skip work of a denoising network, on the embedded model's U-Net.

Written from the ideas alone: DeepCache keeps the deep features of a U-Net for a number of steps;
First-Block-Cache runs the first block and, where its residual has hardly changed, reuses what all
the later blocks added. Both run whole clips. They are not in the engine, which has no use for a
network whose answer depends on earlier steps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(slots=True)
class Kept:
    """What one request keeps from step to step. full, short: how often which way was gone."""

    deep: Tensor | None = None
    residual: Tensor | None = None
    added: Tensor | None = None
    age: int = 0
    full: int = field(default=0)
    short: int = field(default=0)


@dataclass(frozen=True, slots=True)
class Interval:
    """Deep features anew every ``every``-th step; the finest level always."""

    every: int

    def run(
        self, net: Any, kept: Kept, top: Tensor, first: Tensor, time: Tensor, ops: Any
    ) -> Tensor:
        """From the finest level's features to the network's last ones."""
        if kept.deep is None or kept.age >= self.every:
            kept.deep, kept.age = _deep(net, top, time, ops), 0
            kept.full += 1
        else:
            kept.short += 1
        kept.age += 1
        out: Tensor = net.up[0](torch.cat([kept.deep, top], dim=1), time, ops)
        return out


@dataclass(frozen=True, slots=True)
class FirstBlock:
    """All later blocks anew where the first one's residual changed by more than ``threshold``."""

    threshold: float

    def run(
        self, net: Any, kept: Kept, top: Tensor, first: Tensor, time: Tensor, ops: Any
    ) -> Tensor:
        """From the first block's features to the network's last ones."""
        residual = top - first
        if kept.added is not None and kept.residual is not None:
            change = (residual - kept.residual).abs().mean() / kept.residual.abs().mean()
            if float(change) < self.threshold:
                kept.short += 1
                return top + kept.added
        deep = _deep(net, top, time, ops)
        last: Tensor = net.up[0](torch.cat([deep, top], dim=1), time, ops)
        kept.residual, kept.added = residual, last - top
        kept.full += 1
        return last


@contextmanager
def shortcut(net: Any, how: Interval | FirstBlock) -> Iterator[Kept]:
    """Within it, the U-Net takes the shortcut; a new request begins when the noise rises."""
    from sphinx_framework_lite.unet import _fourier

    kept, noise = Kept(), float("inf")
    plain = net.forward

    def forward(x: Tensor, log_sigma: Tensor, condition: Tensor, ops: Any) -> Tensor:
        nonlocal noise
        if float(log_sigma.max()) > noise:
            kept.deep = kept.residual = kept.added = None
        noise = float(log_sigma.max())
        time = net.embed(_fourier(log_sigma))
        first = net.conv_in(torch.cat([x, condition], dim=1), ops)
        last = how.run(net, kept, net.down[0](first, time, ops), first, time, ops)
        out: Tensor = net.conv_out(functional.silu(net.norm_out(last, ops)), ops)
        return out

    net.forward = forward
    try:
        yield kept
    finally:
        net.forward = plain


def _deep(net: Any, top: Tensor, time: Tensor, ops: Any) -> Tensor:
    """Everything below the finest level, brought back to its size."""
    h, skips = net.shrink[0](top, ops), []
    for level, shrink in zip(net.down[1:], net.shrink[1:], strict=True):
        h = level(h, time, ops)
        skips.append(h)
        h = shrink(h, ops)
    h = net.middle_out(net.middle(h, time, ops), time, ops)
    for level, grow in zip(reversed(net.up[1:]), reversed(net.grow[1:]), strict=True):
        h = grow(functional.interpolate(h, scale_factor=2.0, mode="nearest"), ops)
        h = level(torch.cat([h, skips.pop()], dim=1), time, ops)
    out: Tensor = net.grow[0](functional.interpolate(h, scale_factor=2.0, mode="nearest"), ops)
    return out
