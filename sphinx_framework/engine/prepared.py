"""What the moves of a schedule need on the device, made before the first of them.

A list that becomes an index, a number read from the device, noise drawn on the host: within the
loop each of them makes a GPU wait. Frames, tiles and the pasts of their rows follow from the
schedule alone, so they are known here.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sphinx_framework.executors.tiles import TileSet
from sphinx_framework.policy.schedule import Full, Partial, Schedule
from sphinx_framework.protocols import Sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows with a common past; ``rows`` is ``None`` where these are all rows."""

    past: int | None
    rows: Int[Tensor, " k"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One action of a schedule: active frames, their tiles, and rows grouped by past."""

    frames: Int[Tensor, " f"]
    tiles: TileSet | None
    groups: tuple[Group, ...]


@dataclass(slots=True)
class Probe:
    """Stands in for a :class:`SolverStep` and remembers what a sampler asked of it."""

    step: int
    next_step: int
    drew: bool = False
    looked_back: bool = field(default=False)

    @property
    def previous(self) -> None:
        """No past; asking for one is remembered."""
        self.looked_back = True

    def draw(self) -> Float[Tensor, "R *d"]:
        """Zero noise; asking for some is remembered."""
        self.drew = True
        return torch.zeros(1, 1, 1, 1)


def needs(sampler: Sampler, schedule: Schedule) -> tuple[frozenset[int], bool]:
    """Steps whose moves draw noise, and whether any move reads the past.

    Found by one move of a single number per action; a sampler that refuses it is taken to need
    everything. Only the time of drawing depends on this, never a result.
    """
    drawn, history = set(), False
    number = torch.zeros(1, 1, 1, 1)
    for action in schedule.actions:
        probe: Any = Probe(action.step, action.next_step)
        try:
            sampler.advance(number, number, probe)
        except Exception:  # a plugin's code on numbers that it did not expect
            return frozenset(action.step for action in schedule.actions), True
        if probe.drew:
            drawn.add(action.step)
        history = history or probe.looked_back
    return frozenset(drawn), history


def prepared(schedule: Schedule, history: bool, device: torch.device) -> tuple[Prepared, ...]:
    """Index tensors of every action, equal ones shared.

    history: whether the sampler reads the past; without it, rows need no groups.
    """
    since: list[int | None] = [None] * schedule.num_frames
    indices: dict[tuple[int, ...], Tensor] = {}
    tile_sets: dict[tuple[int, ...], TileSet] = {}
    made = []

    def index(numbers: tuple[int, ...]) -> Tensor:
        if numbers not in indices:
            indices[numbers] = torch.tensor(numbers, device=device)
        return indices[numbers]

    for action in schedule.actions:
        tiles = None
        of_rows: tuple[int, ...] = action.frames
        if isinstance(action, Partial) and action.sparse:
            if action.frames not in tile_sets:
                tile_sets[action.frames] = _tile_set(schedule, action, device)
            tiles = tile_sets[action.frames]
            of_rows = tiles.frame_list
        pasts = [since[frame] if history else None for frame in of_rows]
        made.append(
            Prepared(frames=index(action.frames), tiles=tiles, groups=_groups(pasts, index))
        )
        for frame in action.frames:
            since[frame] = action.step
    return tuple(made)


def _groups(pasts: list[int | None], index: Any) -> tuple[Group, ...]:
    distinct = list(dict.fromkeys(pasts))
    if len(distinct) == 1:
        return (Group(past=distinct[0], rows=None),)
    return tuple(
        Group(past=past, rows=index(tuple(i for i, p in enumerate(pasts) if p == past)))
        for past in distinct
    )


def _tile_set(schedule: Schedule, action: Full | Partial, device: torch.device) -> TileSet:
    region, frames = schedule.region, list(action.frames)
    assert region is not None
    active = torch.zeros_like(region)
    active[frames] = region[frames]
    return TileSet.from_mask(active, device)
