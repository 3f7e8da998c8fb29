"""From start steps and a region to a schedule (Sphinx-C, Sphinx-F, Sphinx-S): pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from jaxtyping import Bool
from pydantic import Field

from sphinx_framework.frame_plan import OWN, FramePlan, Walk, as_rendered
from sphinx_framework.options import Options
from sphinx_framework.plugin import Capabilities
from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.guidance import GuidanceConfig
from sphinx_framework.policy.schedule import (
    METHOD_MODES,
    Full,
    Lowering,
    LoweringKind,
    Mode,
    Partial,
    Schedule,
)

if TYPE_CHECKING:  # config files are read without torch
    from torch import Tensor


class PlanConfig(Options):
    """How start steps become a schedule: cache period, latest start (k = 40), steps visited.

    The paper's setting is ``refresh_every = 5``, ``full_tail = 10``, ``max_start = 40``.
    """

    refresh_every: int = Field(
        default=5, ge=1, description="cache period: a full pass every this many visited steps"
    )
    refresh: Literal["period", "drift"] = Field(
        default="period",
        description="when the latent cache is recorded anew: every refresh_every steps and in the "
        "full_tail, or whenever cached keys and values have drifted; with drift those two are what "
        "predictions assume, and a partial step waits once for the device",
    )
    refresh_drift: float = Field(
        default=0.25,
        gt=0,
        description="with refresh = drift: a full pass before keys and values of active frames "
        "have moved by more than this share of their size",
    )
    full_tail: int = Field(
        default=0, ge=0, description="this many last steps of the grid are full passes"
    )
    stride: int = Field(
        default=1,
        ge=1,
        description="visit every n-th step of the grid (a few-step solver); mode diffusion, the "
        "baseline, visits all",
    )
    max_steps: int | None = Field(
        default=None,
        ge=1,
        description="visit at most this many steps: longer walks are spread over that many, which "
        "bounds the latency of the worst request; full diffusion is not bounded",
    )
    max_start: int | None = Field(
        default=None,
        ge=0,
        description="latest start of a target (the paper's code: sentinel k = 40); none lets a "
        "frame be served as it is",
    )
    input_start: int | None = Field(
        default=None, ge=0, description="step from which input slots are active; none means never"
    )
    region_dilation: int = Field(default=1, ge=0, description="cells to grow the refined region by")
    region_max_fraction: float = Field(
        default=0.85, gt=0, le=1, description="a frame with more of it marked is refined whole"
    )
    guidance: GuidanceConfig = Field(
        default=GuidanceConfig(),
        description="which steps of a guided model run both branches; mode diffusion, the "
        "baseline, always does",
    )
    composite: bool = Field(
        default=True, description="selective mode: keep the regression pixels outside of the region"
    )


def plan(
    mode: Mode,
    starts: Sequence[int | None],
    num_steps: int,
    config: PlanConfig,
    region: Bool[Tensor, "T y x"] | None = None,
    walks: Sequence[Walk] | None = None,
) -> Schedule:
    """Decide every step of a clip.

    starts: start step per slot; ``None`` marks an input slot. A target with ``num_steps`` is
    served as the regression model rendered it. Raises ``ValueError`` for starts off the grid.
    walks: per slot, how it covers what remains; none: as the options say. A method mode whose
    targets are all full diffusion is mode ``diffusion``.
    """
    for start in starts:
        if start is not None and not 0 <= start <= num_steps:
            raise ValueError(f"start step {start} is not in 0..{num_steps}")
    given = zip(starts, walks or (OWN,) * len(starts), strict=True)
    targets = [FramePlan(start, walk) for start, walk in given if start is not None]
    if mode in METHOD_MODES and targets and all(t.full(num_steps) for t in targets):
        mode = "diffusion"
    targets = _by_mode(mode, targets, num_steps, config)
    if mode == "diffusion":
        config = config.model_copy(update={"stride": 1, "max_steps": None})
    stated = any(t.walk.steps is not None and t.start < num_steps for t in targets)
    grids: list[tuple[int, ...]] = []
    if stated:
        grids = [_grid(target, num_steps, config) for target in targets]
        visited = sorted(set().union(*grids))
        number = 0 if len(visited) < num_steps - visited[0] else visited[0]
    else:
        visited, number = _walk(
            min((t.start for t in targets), default=num_steps), num_steps, config
        )
        targets = [replace(t, start=_on_grid(t.start, num_steps, visited)) for t in targets]
    inputs = num_steps if config.input_start is None else config.input_start
    if all(target.start == num_steps for target in targets):
        inputs = num_steps
    remaining = iter(targets)
    plans = [FramePlan(inputs) if start is None else next(remaining) for start in starts]
    slots = tuple(plan.start for plan in plans)
    own = iter(grids)
    laid = [
        tuple(s for s in visited if s >= slot) if start is None or not stated else next(own)
        for slot, start in zip(slots, starts, strict=True)
    ]
    nested = all(
        grid == tuple(s for s in visited if s >= slot)
        for grid, slot in zip(laid, slots, strict=True)
    )
    schedule = Schedule(
        actions=_actions(mode, slots, visited, number, num_steps, config)
        if nested
        else _own_strides(laid, visited, num_steps),
        starts=slots,
        num_steps=num_steps,
        region=region if mode == "selective" else None,
        solvers=tuple(plan.walk.solver for plan in plans)
        if any(plan.walk.solver for plan in plans)
        else (),
        drift=config.refresh_drift if _by_drift(mode, config) else None,
        guidance=config.guidance if config.guidance.thinned else None,
    )
    return _with_regions(schedule, config) if mode == "selective" else schedule


def _by_drift(mode: Mode, config: PlanConfig) -> bool:
    return config.refresh == "drift" and mode in ("fine", "selective")


def _by_mode(
    mode: Mode, targets: list[FramePlan], num_steps: int, config: PlanConfig
) -> list[FramePlan]:
    """The targets' plans as a mode has them; ``coarse``: the dearest of all, for all."""
    if mode == "diffusion":
        return [FramePlan(0)] * len(targets)
    if mode == "regression":
        return [as_rendered(num_steps)] * len(targets)
    if mode == "coarse" and targets:
        dearest = max(targets, key=lambda t: (t.cost(num_steps), -t.start))
        targets = [dearest] * len(targets)
    if config.max_start is not None:
        targets = [replace(t, start=min(t.start, config.max_start)) for t in targets]
    return targets


def _grid(target: FramePlan, num_steps: int, config: PlanConfig) -> tuple[int, ...]:
    """The steps that one target is computed at."""
    if target.start == num_steps:
        return ()
    if target.walk.steps is None:
        return tuple(_walk(target.start, num_steps, config)[0])
    return target.walk.visited(target.start, num_steps, config.max_steps)


def _own_strides(
    grids: Sequence[tuple[int, ...]], visited: Sequence[int], num_steps: int
) -> tuple[Full | Partial, ...]:
    """Full passes over the steps of all; each frame moves along its own."""
    actions: list[Full | Partial] = []
    for position, step in enumerate(visited):
        next_step = visited[position + 1] if position + 1 < len(visited) else num_steps
        frames = tuple(slot for slot, grid in enumerate(grids) if step in grid)
        ends = tuple(
            next((later for later in grids[slot] if later > step), num_steps) for slot in frames
        )
        same = all(end == next_step for end in ends)
        actions.append(
            Full(step=step, next_step=next_step, frames=frames, ends=() if same else ends)
        )
    return tuple(actions)


def _walk(first: int, num_steps: int, config: PlanConfig) -> tuple[list[int], int]:
    """Steps visited from the earliest start, and the number that refreshes count the first as.

    With every step visited, refreshes are on the step grid, as the paper has it; a coarser walk
    counts its own moves, or its few steps would open with two full passes.
    """
    if first == num_steps:
        return [], 0
    first -= first % config.stride
    visited = list(range(first, num_steps, config.stride))
    if config.max_steps is None or len(visited) <= config.max_steps:
        return visited, first if config.stride == 1 else 0
    length = num_steps - first
    return [first + i * length // config.max_steps for i in range(config.max_steps)], 0


def _on_grid(start: int, num_steps: int, visited: Sequence[int]) -> int:
    """Earlier visited step, so that a coarser grid never refines less than was decided."""
    return num_steps if start == num_steps else max(step for step in visited if step <= start)


def _actions(
    mode: Mode,
    slots: tuple[int, ...],
    visited: Sequence[int],
    number: int,
    num_steps: int,
    config: PlanConfig,
) -> tuple[Full | Partial, ...]:
    actions: list[Full | Partial] = []
    for position, step in enumerate(visited):
        next_step = visited[position + 1] if position + 1 < len(visited) else num_steps
        active = tuple(i for i, start in enumerate(slots) if start <= step)
        refresh = (number + position) % config.refresh_every == 0
        refresh = refresh or step >= num_steps - config.full_tail
        refresh = refresh and not _by_drift(mode, config)
        # With every slot active a partial step saves nothing, unless it runs on tiles.
        every = len(active) == len(slots) and mode != "selective"
        whole = mode in ("coarse", "diffusion") or every
        if whole or position == 0 or refresh:
            actions.append(Full(step=step, next_step=next_step, frames=active))
        else:
            actions.append(Partial(step=step, next_step=next_step, frames=active))
    return recorded_where_read(actions)


def recorded_where_read(actions: Sequence[Full | Partial]) -> tuple[Full | Partial, ...]:
    """A full pass records the cache only when the next step reads it."""
    marked: list[Full | Partial] = []
    for position, action in enumerate(actions):
        if isinstance(action, Full):
            follower = actions[position + 1] if position + 1 < len(actions) else None
            marked.append(replace(action, record=isinstance(follower, Partial)))
        else:
            marked.append(action)
    return tuple(marked)


def _with_regions(schedule: Schedule, config: PlanConfig) -> Schedule:
    """Mark partial steps sparse; frames that are marked nearly everywhere count as whole."""
    if schedule.region is None:
        return schedule
    region = schedule.region.clone()
    crowded = region.float().mean((1, 2)) > config.region_max_fraction
    region[crowded] = True
    actions: list[Full | Partial] = []
    for action in schedule.actions:
        if isinstance(action, Partial):
            marked = region[list(action.frames)]
            actions.append(replace(action, sparse=bool(marked.any()) and not bool(marked.all())))
        else:
            actions.append(action)
    return replace(schedule, actions=tuple(actions), region=region)


def lower(schedule: Schedule, capabilities: Capabilities, cost: CostModel) -> Schedule:
    """Keep only what the model can run and what pays; every change is noted."""
    lowered = list(schedule.lowered)
    actions = list(schedule.actions)
    sparse = [a for a in actions if isinstance(a, Partial) and a.sparse]
    sparse = sparse if capabilities.frame_subset else []
    # All or none: a whole-frame step between sparse ones would advance cells that they then hold.
    if sparse and not (capabilities.block_sparse and _tiles_pay(schedule, sparse, cost)):
        actions = [replace(a, sparse=False) if isinstance(a, Partial) else a for a in actions]
        kind: LoweringKind = "no_sparsity"
        why = "the model has no block sparsity"
        if capabilities.block_sparse:
            measured = cost.measured or "assumed, not measured"
            kind = "tiles_do_not_pay"
            why = f"tiles pay below {cost.break_even():.0%} of a frame ({measured})"
        note = f"{len(sparse)} sparse steps run whole frames: {why}"
        lowered.append(Lowering(kind=kind, steps=len(sparse), note=note))
    if not capabilities.frame_subset and any(isinstance(a, Partial) for a in actions):
        dense = sum(isinstance(a, Partial) for a in actions)
        note = f"{dense} partial steps run in full: the model has no frame subsets"
        lowered.append(Lowering(kind="no_subsets", steps=dense, note=note))
        actions = [
            Full(step=a.step, next_step=a.next_step, frames=a.frames, ends=a.ends)
            if isinstance(a, Partial)
            else a
            for a in actions
        ]
        schedule = replace(schedule, actions=tuple(actions), drift=None)
    return replace(schedule, actions=recorded_where_read(actions), lowered=tuple(lowered))


def _tiles_pay(schedule: Schedule, sparse: Sequence[Partial], cost: CostModel) -> bool:
    """Whether the sparse steps together take less time on tiles than on whole frames."""
    tiles = sum(cost.step_seconds(action, schedule) for action in sparse)
    frames = sum(cost.step_seconds(replace(a, sparse=False), schedule) for a in sparse)
    return tiles < frames
