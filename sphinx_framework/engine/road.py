"""The road behind the plan: clips one after another, a second chance for misses, final frames."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.engine.clip import ClipRun
from sphinx_framework.engine.decisions import Decisions, missed_targets, retried
from sphinx_framework.engine.events import Event, FrameFinal, Served, StageDone, StepDone
from sphinx_framework.engine.finishing import finished
from sphinx_framework.engine.guard import guarded, guarded_finish
from sphinx_framework.engine.loop import Move
from sphinx_framework.engine.report import schedule_text
from sphinx_framework.engine.request_state import Request
from sphinx_framework.engine.scheduler import RequestRoad, relayed
from sphinx_framework.engine.scoring import final_scores
from sphinx_framework.executors.cache_pool import CachePool
from sphinx_framework.executors.passes import Call
from sphinx_framework.policy.pace import Pace
from sphinx_framework.policy.schedule import METHOD_MODES, Schedule
from sphinx_framework.protocols import takes_evidence
from sphinx_framework.types import CoarseViews


@dataclass(frozen=True, slots=True, kw_only=True)
class Refined:
    """Final images, the decisions whose starts counted in the end, and the images' scores."""

    images: Float[Tensor, "T 3 H W"]
    decisions: Decisions
    achieved: Float[Tensor, " T"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """One request behind its plan; ``images`` are the coarse ones until clips are refined.

    refined: the targets whose images are no longer their renders.
    """

    request: Request
    caches: CachePool
    pace: Pace
    coarse: CoarseViews
    images: Float[Tensor, "T 3 H W"]
    refined: set[int] = field(default_factory=set)

    def run(self, decisions: Decisions) -> Generator[Event | Call, Tensor | None, Refined]:
        """Frames as they become final; while a retry may come, none is final before the scores."""
        request = self.request
        retry = request.config.engine.retry and request.mode in METHOD_MODES
        if not retry:
            yield from self._served(decisions)
        yield from relayed(self._denoised(decisions), _not_yet_final if retry else _as_it_is)
        at = decisions.pace
        self.pace.observe(decisions.predicted_denoise_seconds, request.seconds.denoise, at=at)
        achieved = self._score(decisions)
        yield request.done("quality")
        took = request.seconds
        if not took.denoise and took.regression:  # the rest is all there is to learn from
            whole = took.regression + took.quality + took.plan
            self.pace.observe(decisions.predicted_seconds, whole, at=at)
        if retry:
            decisions, achieved = yield from self._retried(decisions, achieved)
        return Refined(images=self.images, decisions=decisions, achieved=achieved)

    def _served(self, decisions: Decisions) -> Iterator[Event]:
        """Frames that the regression model has answered."""
        for index, start in enumerate(decisions.starts):
            if start == self.request.config.num_steps:
                yield self._final(index, "regression")

    def _denoised(self, decisions: Decisions) -> RequestRoad:
        """Run every clip; refined targets replace their images."""
        request, told = self.request, 0
        total = sum(len(s.actions) for s in decisions.schedules)
        for clip, (layout, schedule) in enumerate(
            zip(decisions.layouts, decisions.schedules, strict=True)
        ):
            if not schedule.actions:
                continue
            before = len(request.moves)
            run = ClipRun(
                request=request,
                caches=self.caches,
                images=self.images,
                coarse=self.coarse,
                decisions=decisions,
                layout=layout,
                schedule=schedule,
            )
            refined = yield from relayed(
                run.run(), StepTeller(request, clip, schedule, told, total)
            )
            told += len(schedule.actions)
            # The clip is decoded: no device has anything left to do for these.
            own = [move for number, _, move in request.moves[before:] if number == clip]
            request.seconds.denoise += sum(move.seconds for move in own)
            if schedule.drift is not None:
                ran = " ".join(move.action.text() for move in own)
                request.notes.append(f"clip {clip}, refreshed by drift, ran {ran}")
            painted = guarded(request, refined, self.coarse, full=decisions.full)
            made = finished(request, painted, self.coarse, decisions)
            served = guarded_finish(request, made, self.coarse, full=decisions.full)
            for index in refined:
                kept = index in served
                self.images[index] = served[index] if kept else self.coarse.images[index]
                (self.refined.add if kept else self.refined.discard)(index)
                yield self._final(index, "refined" if kept else "regression")
        yield StageDone(stage="denoise", seconds=request.seconds.denoise)

    def _retried(
        self, decisions: Decisions, achieved: Tensor
    ) -> Generator[Event | Call, Tensor | None, tuple[Decisions, Tensor]]:
        """Refine the targets that missed once more, from earlier; then every frame is final."""
        request = self.request
        misses = missed_targets(achieved, decisions, request.quality)
        missed = [i for i, miss in enumerate(misses) if miss and decisions.starts[i] > 0]
        if missed:
            second = retried(request.components, decisions, missed, request.config)
            request.notes.append(
                f"targets {missed} missed the quality and were refined again: "
                f"{schedule_text(second.schedules)}"
            )
            yield from relayed(self._denoised(second), _not_yet_final)
            starts = [
                second.starts[index] if index in missed else start
                for index, start in enumerate(decisions.starts)
            ]
            decisions = replace(decisions, starts=tuple(starts), again=second.schedules)
            achieved = self._score(decisions)
            yield request.done("quality")
        for index, start in enumerate(decisions.starts):
            kept = start == request.config.num_steps or index in request.withheld
            yield self._final(index, "regression" if kept else "refined")
        return decisions, achieved

    def _score(self, decisions: Decisions) -> Float[Tensor, " T"]:
        """Score the finished images like photos: without an opacity of their own.

        Where all of them are their renders, a score by evidence is known already.
        """
        request, coarse = self.request, self.coarse
        estimator = request.components.quality
        with request.timing("quality"), torch.no_grad():
            if not self.refined and takes_evidence(estimator):
                scores = decisions.quality.score
            else:
                scores = final_scores(estimator, self.images, lambda: request.known(coarse))
            return scores.detach().float().cpu()

    def _final(self, index: int, served: Served) -> FrameFinal:
        """A copy: whoever listens may write into it."""
        image = self.images[index].detach().clone().cpu()
        return FrameFinal(index=index, image=image, served=served)


@dataclass(slots=True)
class StepTeller:
    """Books the moves of a clip and tells them as steps; ``done``: of the request so far."""

    request: Request
    clip: int
    schedule: Schedule
    done: int
    total: int

    def __call__(self, said: Event | Move) -> Iterator[Event]:
        """Moves become steps; other events pass."""
        if not isinstance(said, Move):
            yield said
            return
        self.done += 1
        self.request.moves.append((self.clip, self.schedule, said))
        yield StepDone(
            clip=self.clip,
            action=said.action.text(),
            kind=said.kind,
            done=self.done,
            total=self.total,
            seconds=None if any(w.waits for w in said.watches) else said.seconds,
        )


def _as_it_is(event: Event) -> Iterator[Event]:
    yield event


def _not_yet_final(event: Event) -> Iterator[Event]:
    """Until the scores are known, any frame may be refined once more."""
    if not isinstance(event, FrameFinal):
        yield event
