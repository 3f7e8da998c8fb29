"""Others' shortcuts on SEVA's U-Net: deep features, or all but the first block, are kept.

Written from the ideas alone (DeepCache, First-Block-Cache), as in ``shortcuts.py``. Within either,
the first step of the network is a whole one and leaves what every later step reuses: when to
renew it (every n-th step, or when the first block's residual changes) decides how often a step is
a short one, not what it costs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sphinx_framework_seva.network import _first_of_each_branch, sinusoidal_embedding
from sphinx_framework_seva.signals import Signals

Kept = dict[str, Tensor]


def deep_kept(net: Any) -> Any:
    """The finest level anew in every step; what the coarser ones hand to it is kept."""

    def last(x: Tensor, first: Tensor, skips: list[Tensor], kept: Kept, run: Any) -> Tensor:
        fine = 1 + net.architecture.num_res_blocks
        for stage in net.input_blocks[2:fine]:
            x = run(stage, x)
            skips.append(x)
        if "deep" not in kept:
            kept["deep"] = _coarser(net, fine, x, run)
        return _up(kept["deep"], net.output_blocks[-fine:], skips, run)

    return _replaced(net, last)


def first_block_kept(net: Any) -> Any:
    """The first block anew in every step (its residual decides); what the others add is kept."""

    def last(x: Tensor, first: Tensor, skips: list[Tensor], kept: Kept, run: Any) -> Tensor:
        if "added" in kept:
            # The decision would read this number on the host, and so wait for it.
            moved, residual = x - first - kept["residual"], kept["residual"]
            kept["change"] = moved.abs().mean() / residual.abs().mean()
            return x + kept["added"]
        kept["residual"], begun = x - first, x
        fine = 1 + net.architecture.num_res_blocks
        for stage in net.input_blocks[2:fine]:
            x = run(stage, x)
            skips.append(x)
        x = _up(_coarser(net, fine, x, run), net.output_blocks[-fine:], skips, run)
        kept["added"] = x - begun
        return x

    return _replaced(net, last)


def _coarser(net: Any, fine: int, x: Tensor, run: Any) -> Tensor:
    """Everything below the finest level, brought back to its size."""
    skips = []
    for stage in net.input_blocks[fine:]:
        x = run(stage, x)
        skips.append(x)
    return _up(run(net.middle_block, x), net.output_blocks[:-fine], skips, run)


def _up(x: Tensor, stages: Any, skips: list[Tensor], run: Any) -> Tensor:
    for stage in stages:
        x = run(stage, torch.cat([x, skips.pop()], dim=1))
    return x


@contextmanager
def _replaced(net: Any, last: Callable[..., Tensor]) -> Iterator[Kept]:
    """Within it, ``last`` makes the network's last features of the first block's."""
    plain, kept = net.forward, Kept()

    def forward(
        x: Tensor, steps: Tensor, context: Tensor, dense: Tensor, ops: Any, **options: Any
    ) -> Tensor:
        time = sinusoidal_embedding(steps, net.architecture.model_channels)
        signals = Signals(
            time=net.time_embed(time.to(x.dtype)),
            context=context,
            leading=_first_of_each_branch(context, 2),
            dense=net._pyramid(dense, ops),
            keep_modulations=options["keep_modulations"],
        )

        def run(stage: Any, x: Tensor) -> Tensor:
            out: Tensor = stage(x, signals, ops)
            return out

        first = run(net.input_blocks[0], x)
        begun = run(net.input_blocks[1], first)
        x = last(begun, first, [first, begun], kept, run)
        out: Tensor = net.out[2](F.silu(net.out[0](x, ops)), ops)
        return out

    net.forward = forward
    try:
        yield kept
    finally:
        net.forward = plain
