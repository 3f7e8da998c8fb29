"""Algorithm 1 of the paper: the only denoising loop.

It executes a schedule and decides nothing. Frames (and cells) that are not active are held at the
regression latents, noised to the level of the step, with one noise tensor per request.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.engine.denoising_answers import CheckedDiffusion
from sphinx_framework.engine.drift import DriftWatch, refreshing
from sphinx_framework.engine.guidance import KeptGuidance
from sphinx_framework.engine.prepared import Group, Prepared, Travel, needs, prepared, with_solver
from sphinx_framework.executors.latent_cache import LastBranch, LatentCache
from sphinx_framework.executors.passes import Call, frames_pass, full_pass, tiles_pass
from sphinx_framework.executors.stopwatch import Stopwatch
from sphinx_framework.executors.tiles import TileSet, gather, scatter
from sphinx_framework.policy.schedule import Full, MoveKind, Partial, Schedule
from sphinx_framework.protocols import DiffusionModel, Sampler, SolverStep

Draw = Callable[[int], Float[Tensor, "T C h w"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One executed action; ``rows`` are the frames or tiles that went through the network.

    watches: of the network's time and the loop's own; a device tells them when it has got there.
    """

    action: Full | Partial
    kind: MoveKind
    rows: int
    watches: tuple[Stopwatch, Stopwatch]

    @property
    def seconds(self) -> float:
        """Time that the move took; may wait for the device."""
        return sum(watch.seconds for watch in self.watches)


@dataclass(slots=True, kw_only=True)
class Refinement:
    """The denoising of one clip.

    clean: latents that hold inactive frames. noise: drawn once per request.
    draw: fresh standard normal noise of the whole clip for a step (stochastic solvers only).
    targets: of every row that makes any, its first; named where a prediction is not finite.
    guidance: of a guided model some of whose steps run one branch.
    x: the state. denoised: last prediction per frame, the history of multistep solvers; earlier:
        the one before, kept where a solver asks for it.
    ahead: states of frames that have moved past the clip's step (strides of their own).
    moves, drawn: what the actions need on the device, and noise per step; made before the first.
    drift, refreshes: where the schedule refreshes by drift, and its actions as full passes.
    """

    model: DiffusionModel[Any, Any]
    schedule: Schedule
    sampler: Sampler
    clean: Float[Tensor, "T C h w"]
    noise: Float[Tensor, "T C h w"]
    condition: Any
    draw: Draw
    targets: dict[int, int] = field(default_factory=dict)
    guidance: KeptGuidance | None = None
    cache: LatentCache = field(default_factory=LatentCache)
    x: Tensor = field(init=False)
    denoised: Tensor = field(init=False)
    earlier: Tensor | None = field(init=False, default=None)
    constants: dict[str, Tensor] = field(init=False, default_factory=dict)
    moves: tuple[Prepared, ...] = field(init=False)
    refreshes: tuple[Prepared, ...] = field(init=False, default=())
    drift: DriftWatch | None = field(init=False, default=None)
    drawn: dict[int, Tensor] = field(init=False)
    ahead: Tensor = field(init=False)

    def __post_init__(self) -> None:
        """Noise the latents to the first step of the schedule (Algorithm 1, line 3).

        A frame that starts at step 0 starts from noise alone, as full diffusion does: what is left
        of a blurry rendering at the highest noise level would blur its result.
        """
        schedule = self.schedule
        first = schedule.actions[0].step if schedule.actions else schedule.num_steps
        origin = self.clean.clone()
        for slot, start in enumerate(schedule.starts):
            if start == 0:
                origin[slot] = 0
        self.x = self.sampler.noised(origin, self.noise, first)
        # A held cell is exactly clean + noise: predicting it perfectly means predicting `clean`.
        self.denoised = self.clean.clone()
        self.ahead = self.x
        noisy, history = needs(self.sampler, schedule)
        self.earlier = self.clean.clone() if history > 1 else None
        self.moves = prepared(schedule, history, self.clean.device)
        if schedule.drift is not None:
            self.drift = DriftWatch(schedule.drift)
            full = replace(schedule, actions=tuple(refreshing(a) for a in schedule.actions))
            self.refreshes = prepared(full, history, self.clean.device)
        self.drawn = {step: self.draw(step) for step in sorted(noisy)}

    def run(self) -> Generator[Move | Call, Tensor | None, None]:
        """Execute the schedule: yields the calls that it wants, is sent their predictions.

        A :class:`Move` follows each call; ``x`` holds the final latents after the last. The time
        between a call and its answer that others spent is not the move's.
        """
        due = False
        for position, planned in enumerate(self.schedule.actions):
            action, move = planned, self.moves[position]
            if due and isinstance(planned, Partial):
                action, move = refreshing(planned), self.refreshes[position]
            watch = Stopwatch(self.x.device)
            with watch.running():
                call = self._call(action, position)
            denoised = yield call
            assert denoised is not None
            if self.guidance is not None:
                with watch.running(), torch.no_grad():
                    self.guidance.hear(call, action)
            if isinstance(action, Full) and action.record:
                self.cache.end_record()
            with watch.running():
                kind = self._advance(action, denoised, move)
                due = self.drift is not None and self.drift.due(self.cache, action)
            rows, watches = len(denoised), (call.watch, watch)
            yield Move(action=action, kind=kind, rows=rows, watches=watches)

    @torch.no_grad()
    def _call(self, action: Full | Partial, position: int) -> Call:
        """What the network is asked for an action."""
        if self.guidance is None:
            return self._pass(action, position, self.cache)
        guide = self.guidance.guide(action)
        one = isinstance(action, Partial) and guide != "both"
        cache = LastBranch(self.cache, len(self.x)) if one else self.cache
        call = self._pass(action, position, cache)
        self.guidance.ask(call, guide)
        return call

    def _pass(self, action: Full | Partial, position: int, cache: LatentCache) -> Call:
        """The call of an action; ``cache``: what it records into or reads."""
        asked = self.model, self.x, action.step, self.condition
        if isinstance(action, Full):
            if not action.record:
                self.cache.clear()
                return full_pass(*asked, constants=self.constants)
            tiles = self._sparse_step_follows(position)
            return full_pass(*asked, cache=cache, tiles=tiles, constants=self.constants)
        if action.sparse:
            tile_set = self.moves[position].tiles
            assert tile_set is not None
            return tiles_pass(*asked, cache=cache, tiles=tile_set, constants=self.constants)
        active = self.moves[position].frames
        return frames_pass(
            *asked,
            cache=cache,
            frames=active,
            listed=action.frames,
            constants=self.constants,
        )

    @torch.no_grad()
    def _advance(self, action: Full | Partial, denoised: Tensor, move: Prepared) -> MoveKind:
        """Go on to the next level with the prediction for the rows that were asked for."""
        if isinstance(action, Full):
            used = denoised[move.frames]
            self._check(used, action.step, action.frames)
            self._advance_frames(action, used, move)
            return "full"
        if action.sparse:
            assert move.tiles is not None
            self._check(denoised, action.step, move.tiles.frame_list)
            self._advance_tiles(action, denoised, move.tiles, move)
            return "tiles"
        self._check(denoised, action.step, action.frames)
        self._advance_frames(action, denoised, move)
        return "frames"

    def _check(self, rows: Tensor, step: int, frames: Sequence[int]) -> None:
        """Refuse predictions that are not finite; ``frames``: the clip's frame of every row."""
        if isinstance(self.model, CheckedDiffusion):
            self.model.check_prediction(rows, step, [self.targets.get(f) for f in frames])

    def _sparse_step_follows(self, position: int) -> bool:
        """Whether a sparse step reads what the full pass at ``position`` records."""
        for action in self.schedule.actions[position + 1 :]:
            if isinstance(action, Full):
                return False
            if action.sparse:
                return True
        return False

    def _advance_frames(
        self, action: Full | Partial, denoised: Float[Tensor, "f C h w"], move: Prepared
    ) -> None:
        """Advance active frames, hold the others at the next level."""
        held = self.sampler.noised(self.clean, self.noise, action.next_step)
        held = held.clone() if held is self.clean else held
        held[move.frames] = self._advanced(
            action,
            move.groups,
            x=self.x[move.frames],
            denoised=denoised,
            history=tuple(kept[move.frames] for kept in self._history(move.groups)),
            fresh=lambda: self._fresh(action.step)[move.frames],
        )
        if self.earlier is not None:
            self.earlier[move.frames] = self.denoised[move.frames]
        self.denoised[move.frames] = denoised
        if move.travel is not None:
            self._travelled(held, action.next_step, move.travel)
        self.x = held

    def _travelled(self, state: Float[Tensor, "T C h w"], step: int, travel: Travel) -> None:
        """Keep who has moved past the step until it gets there; show its prediction meanwhile."""
        came = self.ahead[travel.arriving]
        self.ahead = self.ahead.clone()
        self.ahead[travel.leaving] = state[travel.leaving]
        meanwhile = self.sampler.noised(self.denoised, self.noise, step)
        state[travel.away] = meanwhile[travel.away]
        state[travel.arriving] = came

    def _advance_tiles(
        self, action: Partial, denoised: Float[Tensor, "n C a b"], tiles: TileSet, move: Prepared
    ) -> None:
        """Advance active tiles, hold every other cell at the next level."""
        held = self.sampler.noised(self.clean, self.noise, action.next_step)
        held = held.clone() if held is self.clean else held
        moved = self._advanced(
            action,
            move.groups,
            x=gather(self.x, tiles),
            denoised=denoised,
            history=tuple(gather(kept, tiles) for kept in self._history(move.groups)),
            fresh=lambda: gather(self._fresh(action.step), tiles),
        )
        scatter(held, moved, tiles)
        self.x = held
        if self.earlier is not None:
            last = gather(self.denoised, tiles)
            self.earlier = self.clean.clone()
            scatter(self.earlier, last, tiles)
        self.denoised = self.clean.clone()
        scatter(self.denoised, denoised, tiles)

    def _advanced(
        self,
        action: Full | Partial,
        groups: tuple[Group, ...],
        *,
        x: Tensor,
        denoised: Tensor,
        history: tuple[Tensor, ...],
        fresh: Callable[[], Tensor],
    ) -> Tensor:
        """Move rows, in groups that share their solver's past."""

        def moved(group: Group, rows: slice | Tensor) -> Tensor:
            past = [(at, kept[rows]) for at, kept in zip(group.past, history, strict=False)]
            step = SolverStep(
                step=action.step,
                next_step=group.end,
                previous=past[0] if past else None,
                earlier=past[1] if len(past) > 1 else None,
                draw=lambda: fresh()[rows],
            )
            sampler = with_solver(self.sampler, group.solver)
            return sampler.advance(x[rows], denoised[rows], step)

        if groups[0].rows is None:
            return moved(groups[0], slice(None))
        result = torch.empty_like(x)
        for group in groups:
            assert group.rows is not None
            result[group.rows] = moved(group, group.rows)
        return result

    def _history(self, groups: tuple[Group, ...]) -> tuple[Tensor, ...]:
        """Predictions of the last moves that the solver looks back to, latest first."""
        known = (self.denoised,) if self.earlier is None else (self.denoised, self.earlier)
        return known[: max(len(group.past) for group in groups)]

    def _fresh(self, step: int) -> Float[Tensor, "T C h w"]:
        """Noise of a step, drawn before the first move where the sampler was known to ask."""
        if step not in self.drawn:
            self.drawn[step] = self.draw(step)
        return self.drawn[step]
