"""The moves that are counted and timed: full passes, some frames, some tiles."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sphinx_framework.executors.latent_cache import LastBranch
from sphinx_framework.executors.passes import Call, frames_pass, full_pass, tiles_pass
from sphinx_framework.executors.tiles import TileSet
from sphinx_framework.policy.cost import StepKind
from sphinx_framework.study.step_costs import Subject

COUNTS = (1, 3, 5, 10, 19)
SHARES = (0.05, 0.1, 0.25, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One way to run a step; ``share`` of the clip is computed."""

    kind: StepKind
    name: str
    share: float
    call: Callable[[], Tensor]


def moves(
    subject: Subject,
    counts: Sequence[int] = COUNTS,
    shares: Sequence[float] = SHARES,
    *,
    tiles: bool = True,
    skips: bool = True,
) -> Iterator[Move]:
    """All moves, the dense one first; partial ones read what the recording one before them left.

    skips: the network can record and leave out; one that cannot has the dense move only.
    Of a guided model, last, those of one branch.

    Frames are spread over the targets. Tiles are drawn from all of them at random, which is their
    worst case: hardly two of them lie side by side.
    """
    asked = subject.model, subject.x, subject.step, subject.condition
    constants: dict[str, Tensor] = {}
    total, cache = subject.num_frames, subject.cache

    def full(*, record: bool, tiles: bool = False) -> Callable[[], Tensor]:
        kept = cache if record else None
        return lambda: full_pass(*asked, cache=kept, tiles=tiles, constants=constants).answer()

    full(record=False)()  # constants of the request are made by its first step, not by every one
    yield Move(kind="full", name="full", share=1, call=full(record=False))
    if not skips:
        return
    yield Move(kind="full", name="full, recording frames", share=1, call=full(record=True))
    if tiles:
        recording = full(record=True, tiles=True)
        yield Move(kind="full", name="full, recording tiles", share=1, call=recording)
    for count in (c for c in counts if c <= len(subject.targets)):
        chosen = torch.linspace(0, len(subject.targets) - 1, count).round().long().tolist()
        listed = tuple(subject.targets[i] for i in chosen)
        frames = torch.tensor(listed).to(subject.x.device)
        call = frames_pass(*asked, cache=cache, frames=frames, listed=listed, constants=constants)
        name = f"{count} of {total} frames"
        yield Move(kind="frames", name=name, share=count / total, call=call.answer)
    for share in shares if tiles else ():
        active = _spread(subject, share)
        tile_set = TileSet.from_mask(active, subject.x.device)
        sparse = tiles_pass(*asked, cache=cache, tiles=tile_set, constants=constants)
        area = float(active.float().mean())
        name = f"{share:.0%} of the targets' tiles"
        yield Move(kind="tiles", name=name, share=area, call=sparse.answer)
    if getattr(subject.model, "denoise_guided", None) is not None:
        yield from _one_branch(subject, constants)


def _one_branch(subject: Subject, constants: dict[str, Tensor]) -> Iterator[Move]:
    """Steps that take the difference of guidance's branches as an earlier one found it."""
    asked = subject.model, subject.x, subject.step, subject.condition
    total = subject.num_frames

    def alone(call: Call) -> Callable[[], Tensor]:
        call.guided, call.kept = True, torch.zeros_like(call.x)
        return call.answer

    full = full_pass(*asked, constants=constants)
    yield Move(kind="full", name="full, one guidance branch", share=0.5, call=alone(full))
    listed = subject.targets[: min(3, len(subject.targets))]
    call = frames_pass(
        *asked, cache=LastBranch(subject.cache, total), listed=listed, constants=constants,
        frames=torch.tensor(listed).to(subject.x.device),
    )  # fmt: skip
    name = f"{len(listed)} of {total} frames, one guidance branch"
    yield Move(kind="frames", name=name, share=len(listed) / total / 2, call=alone(call))


def _spread(subject: Subject, share: float) -> Tensor:
    """Tiles drawn from those of all targets, bool ``[T y x]``."""
    height, width = (side // subject.model.tile for side in subject.x.shape[2:])
    among = len(subject.targets) * height * width
    drawn = torch.randperm(among, generator=torch.Generator().manual_seed(0))
    marked = torch.zeros(among, dtype=torch.bool)
    marked[drawn[: max(1, round(share * among))]] = True
    active = torch.zeros(subject.num_frames, height, width, dtype=torch.bool)
    active[list(subject.targets)] = marked.view(-1, height, width)
    return active
