"""What the moves of a schedule need on the device, made before the first of them.

A list that becomes an index, a number read from the device, noise drawn on the host: within the
loop each of them makes a GPU wait. Frames, tiles and the pasts of their rows follow from the
schedule alone, so they are known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sphinx_framework.engine.denoising_answers import CheckedSampler
from sphinx_framework.executors.tiles import TileSet
from sphinx_framework.policy.schedule import Full, Partial, Schedule
from sphinx_framework.protocols import ChoosesSolver, Sampler

MOST_MOVES_BACK = 2  # what a SolverStep can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows with a common past, solver and goal; ``rows`` is ``None`` where these are all rows.

    past: steps of their last moves that the solver looks back to, latest first.
    """

    past: tuple[int, ...]
    rows: Int[Tensor, " k"] | None
    end: int
    solver: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Travel:
    """Frames of their own strides, at the end of an action.

    leaving: have moved past the clip's next step. away: are between two steps of their own there.
    arriving: moved there in an earlier action.
    """

    leaving: Int[Tensor, " a"]
    away: Int[Tensor, " b"]
    arriving: Int[Tensor, " c"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One action of a schedule: active frames, their tiles, and rows grouped by past.

    travel: ``None`` where all frames move in step.
    """

    frames: Int[Tensor, " f"]
    tiles: TileSet | None
    groups: tuple[Group, ...]
    travel: Travel | None = None


@dataclass(slots=True)
class Probe:
    """Stands in for a :class:`SolverStep` and remembers what a sampler asked of it.

    past: steps of its moves before, latest first.
    """

    step: int
    next_step: int
    past: tuple[int, ...] = ()
    drew: bool = False
    looked_back: int = field(default=0)

    @property
    def previous(self) -> tuple[int, Tensor] | None:
        """Its last move; asking for it is remembered."""
        return self._asked(1)

    @property
    def earlier(self) -> tuple[int, Tensor] | None:
        """The move before; asking for it is remembered."""
        return self._asked(2)

    def _asked(self, back: int) -> tuple[int, Tensor] | None:
        self.looked_back = max(self.looked_back, back)
        return (self.past[back - 1], torch.zeros(1, 1, 1, 1)) if len(self.past) >= back else None

    def draw(self) -> Float[Tensor, "R *d"]:
        """Zero noise; asking for some is remembered."""
        self.drew = True
        return torch.zeros(1, 1, 1, 1)


def needs(sampler: Sampler, schedule: Schedule) -> tuple[frozenset[int], int]:
    """Steps whose moves draw noise, and how many moves a move looks back.

    Found by moves of a single number per action, without a past and with one; a sampler that
    refuses them is taken to need everything. Only the time of drawing depends on this, never a
    result.
    """
    moves = sorted({(a.step, end) for a in schedule.actions for end in a.own_ends()})
    drawn, history = set[int](), 0
    try:
        for solver in set(schedule.solvers or (None,)):
            own = with_solver(sampler, solver)
            trial = partial(_tried, moves=moves)
            drew, back = own.tried(trial) if isinstance(own, CheckedSampler) else trial(own)
            drawn, history = drawn | drew, max(history, back)
    except Exception:  # a plugin's code on numbers that it did not expect
        return frozenset(action.step for action in schedule.actions), MOST_MOVES_BACK
    return frozenset(drawn), history


def _tried(sampler: Sampler, moves: Sequence[tuple[int, int]]) -> tuple[set[int], int]:
    """Steps at which a sampler draws noise, and how far it looks back."""
    drawn, history = set(), 0
    number = torch.zeros(1, 1, 1, 1)
    for step, end in moves:
        pasts = ((), tuple(range(max(step - MOST_MOVES_BACK, 0), step))[::-1])
        for probe in (Probe(step, end, past) for past in dict.fromkeys(pasts)):
            asked: Any = probe
            sampler.advance(number, number, asked)
            if probe.drew:
                drawn.add(step)
            history = max(history, probe.looked_back)
    return drawn, history


def with_solver(sampler: Sampler, solver: str | None) -> Sampler:
    """The sampler by another solver; :func:`check_solvers` has seen that it has one."""
    if solver is None:
        return sampler
    assert isinstance(sampler, ChoosesSolver)
    return sampler.with_solver(solver)


def prepared(schedule: Schedule, history: int, device: torch.device) -> tuple[Prepared, ...]:
    """Index tensors of every action, equal ones shared.

    history: how many moves the sampler looks back; rows of other pasts are other groups.
    """
    past: list[tuple[int, ...]] = [()] * schedule.num_frames
    solvers = schedule.solvers or (None,) * schedule.num_frames
    away: dict[int, int] = {}
    indices: dict[tuple[int, ...], Tensor] = {}
    tile_sets: dict[tuple[int, ...], TileSet] = {}
    made = []

    def index(numbers: tuple[int, ...]) -> Tensor:
        if numbers not in indices:
            indices[numbers] = torch.tensor(numbers, device=device, dtype=torch.long)
        return indices[numbers]

    for action in schedule.actions:
        tiles = None
        of_rows: tuple[int, ...] = action.frames
        if isinstance(action, Partial) and action.sparse:
            if action.frames not in tile_sets:
                tile_sets[action.frames] = _tile_set(schedule, action, device)
            tiles = tile_sets[action.frames]
            of_rows = tiles.frame_list
        ends = dict(zip(action.frames, action.own_ends(), strict=True))
        kinds = [(past[frame], ends[frame], solvers[frame]) for frame in of_rows]
        made.append(
            Prepared(
                frames=index(action.frames),
                tiles=tiles,
                groups=_groups(kinds, index),
                travel=_travel(action, ends, away, index),
            )
        )
        for frame in action.frames:
            past[frame] = (action.step, *past[frame])[:history]
    return tuple(made)


Kind = tuple[tuple[int, ...], int, str | None]  # past, goal, solver


def _groups(kinds: list[Kind], index: Any) -> tuple[Group, ...]:
    groups = []
    for kind in dict.fromkeys(kinds):
        past, end, solver = kind
        members = tuple(i for i, other in enumerate(kinds) if other == kind)
        rows = None if len(members) == len(kinds) else index(members)
        groups.append(Group(past=past, rows=rows, end=end, solver=solver))
    return tuple(groups)


def _travel(
    action: Full | Partial, ends: dict[int, int], away: dict[int, int], index: Any
) -> Travel | None:
    """Who is on the way when an action ends; ``away``: frame -> goal, brought up to date."""
    arriving = tuple(frame for frame, end in away.items() if end == action.next_step)
    leaving = tuple(frame for frame, end in ends.items() if end > action.next_step)
    for frame in arriving:
        del away[frame]
    away.update((frame, ends[frame]) for frame in leaving)
    if not (arriving or away):
        return None
    return Travel(leaving=index(leaving), away=index(tuple(away)), arriving=index(arriving))


def _tile_set(schedule: Schedule, action: Full | Partial, device: torch.device) -> TileSet:
    region, frames = schedule.region, list(action.frames)
    assert region is not None
    active = torch.zeros_like(region)
    active[frames] = region[frames]
    return TileSet.from_mask(active, device)
