"""A step of SEVA's network by plain torch, by others' shortcuts and by ours, in one run.

    PYTHONPATH=benchmarks:benchmarks/peers python benchmarks/peers/seva_shapes.py [--json FILE]

Operations and traffic are counted at the official size on the meta device; processor seconds are
of one thread at a reduced size (64 channels, 21 frames of 24x24 latents), the least of ``--rounds``
rounds over all ways. Weights are random, so there is no quality here: ``compare.py`` has that.
"Plain torch" is the network on operations written down in this file, nothing kept, no executor.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from full_size.counting import counted
from full_size.moves import Move, moves
from full_size.subjects import FullSize, seva
from seva_shortcuts import deep_kept, first_block_kept
from torch import Tensor
from torch.nn import functional as F

from sphinx_framework.allocator import keep_freed_memory
from sphinx_framework.executors.passes import full_pass
from sphinx_framework.study.report.summary import markdown

REDUCED = (21, 24, 24)
OURS = (3, 10), (0.25,)
GIGA, TERA = 1e9, 1e12


class Plain:
    """The calls of the network in plain torch, as if nobody ever skipped anything."""

    def __init__(self, frames: int) -> None:
        self.frames = frames

    def rows(self, x: Tensor) -> Tensor:
        return x

    def maps(self, x: Tensor) -> Tensor:
        return x

    def constant(self, site: str, make: Callable[[], Tensor]) -> Tensor:
        return make()

    def conv2d(self, site: str, conv: Any, x: Tensor) -> Tensor:
        return F.conv2d(x, conv.weight, conv.bias, conv.stride, conv.padding)

    def group_norm(self, site: str, norm: Any, x: Tensor, reach: str = "frame") -> Tensor:
        return F.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)

    def attention(
        self,
        site: str,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        heads: int,
        reach: str,
        sight: None = None,
    ) -> Tensor:
        cells = query.shape[1]

        def arranged(x: Tensor) -> Tensor:
            clips = x.unflatten(0, (-1, self.frames))
            if reach == "frames":
                x = clips.transpose(1, 2).flatten(0, 1)
            elif reach == "clip":
                x = clips.flatten(1, 2)
            return x.unflatten(2, (heads, -1)).transpose(1, 2)

        mixed = F.scaled_dot_product_attention(*map(arranged, (query, key, value)))
        mixed = mixed.transpose(1, 2).flatten(2)
        if reach == "frames":
            return mixed.unflatten(0, (-1, cells)).transpose(1, 2).flatten(0, 1)
        return mixed.unflatten(1, (-1, cells)).flatten(0, 1) if reach == "clip" else mixed


@torch.no_grad()
def plain_step(made: FullSize) -> Tensor:
    """One guided prediction by hand: both branches, inputs put in, noise to clean latents."""
    subject, net = made.subject, made.network
    condition, dtype = subject.condition, next(net.parameters()).dtype
    sigma = condition.sampler.sigmas[subject.step]
    given = condition.replace
    both = torch.cat([subject.x, subject.x])
    both = both * (1 - given[:, -1:]) + given[:, :-1] * given[:, -1:]
    told = torch.cat([both / (sigma**2 + 1) ** 0.5, condition.concat], dim=1).to(dtype)
    index = torch.full((1,), condition.sampler.time_indices[subject.step], device=told.device)
    noise = net(
        told, index, condition.context.to(dtype), condition.dense.to(dtype), Plain(len(subject.x)),
        keep_modulations=False,
    )  # fmt: skip
    untold, conditional = (both - sigma * noise.float()).chunk(2)
    scale = condition.scale.view(-1, 1, 1, 1)
    return untold + scale * (conditional - untold)


@dataclass(frozen=True, slots=True)
class Row:
    """One way to run a step, at both sizes."""

    name: str
    share: float
    flops: int
    traffic_bytes: int
    seconds: float


@contextmanager
def second_of(made: FullSize, kept: Any) -> Iterator[Callable[[], Tensor]]:
    """A step that takes another's shortcut: what it reuses is left by a whole one before it."""
    subject = made.subject
    constants: dict[str, Tensor] = {}

    def step() -> Tensor:
        call = full_pass(
            subject.model, subject.x, subject.step, subject.condition, constants=constants
        )
        return call.answer()

    with kept(made.network):
        step()
        yield step


def ways(made: FullSize) -> Iterator[Move]:
    """All ways of a step, ready to be run again and again."""
    yield Move(kind="full", name="plain torch", share=1, call=lambda: plain_step(made))
    for move in moves(made.subject, *OURS):
        yield Move(kind=move.kind, name=f"ours: {move.name}", share=move.share, call=move.call)
    for name, kept in (
        ("deep features kept (all but the finest level)", deep_kept),
        ("first block's residual alike (the rest kept)", first_block_kept),
    ):
        with second_of(made, kept) as step:
            yield Move(kind="full", name=name, share=1, call=step)


def measured(full: FullSize, reduced: FullSize, rounds: int) -> list[Row]:
    """Count one, time the other; the moves of both are the same."""
    costs = {move.name: (move.share, counted(move.call)) for move in ways(full)}
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for move in ways(reduced):
            began = time.process_time()
            move.call()
            times.setdefault(move.name, []).append(time.process_time() - began)
    return [
        Row(name, share, counts.flops, counts.traffic_bytes, min(times[name]))
        for name, (share, counts) in costs.items()
    ]


def table(rows: list[Row]) -> str:
    """As the page has it; over the plain step."""
    first = rows[0]
    lines = [["step", "TFLOP", "of plain", "GB moved", "of plain", "s, reduced", "of plain"]]
    lines += [
        [
            row.name, f"{row.flops / TERA:.3g}", f"{row.flops / first.flops:.3f}",
            f"{row.traffic_bytes / GIGA:.3g}", f"{row.traffic_bytes / first.traffic_bytes:.3f}",
            f"{row.seconds:.3f}", f"{row.seconds / first.seconds:.3f}",
        ]
        for row in rows
    ]  # fmt: skip
    return markdown(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    reduced = seva(torch.device("cpu"), tiny=True, latents=REDUCED)
    rows = measured(seva(torch.device("meta")), reduced, asked.rounds)
    if asked.json is not None:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    print(table(rows))


if __name__ == "__main__":
    main()
