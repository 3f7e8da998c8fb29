"""The running state of one request; nothing of it outlives or leaves the request."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from sphinx_framework.config import PipelineConfig
from sphinx_framework.energy.meter import Reading
from sphinx_framework.engine.components import Components
from sphinx_framework.engine.events import StageDone
from sphinx_framework.engine.loop import Move
from sphinx_framework.engine.result import Seconds
from sphinx_framework.engine.scoring import target_evidence
from sphinx_framework.policy.schedule import Mode, Schedule
from sphinx_framework.types import CoarseViews, Scene, ScoreEvidence


@dataclass(slots=True, kw_only=True)
class Request:
    """The running state of one request: results so far, clocks, what was executed.

    components: behind their guards. config: the pipeline's, with the request's budgets.
    last: seconds of the stage that :meth:`timing` booked last.
    evidence: per refined target, the share of what the inputs prove that survived. lost: and the dB
    that it probably lost, where known. withheld: why refined targets are served as rendered,
    because of either. of_targets: what is known of all targets, once somebody asked.
    """

    components: Components
    config: PipelineConfig
    scene: Scene
    mode: Mode
    quality: float
    seed: int
    seconds: Seconds = field(default_factory=Seconds)
    last: float = 0.0
    moves: list[tuple[int, Schedule, Move]] = field(default_factory=list)
    cache_bytes_peak: int = 0
    energy: Reading = field(default_factory=Reading)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    evidence: dict[int, float] = field(default_factory=dict)
    lost: dict[int, float] = field(default_factory=dict)
    of_targets: ScoreEvidence | None = None
    withheld: dict[int, str] = field(default_factory=dict)

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Book the time of a block under a stage; pieces of a stage add up."""
        started = perf_counter()
        try:
            yield
        finally:
            self.last = perf_counter() - started
            setattr(self.seconds, stage, getattr(self.seconds, stage) + self.last)

    def known(self, coarse: CoarseViews) -> ScoreEvidence:
        """What is known of the targets, put together once."""
        if self.of_targets is None:
            self.of_targets = target_evidence(self.scene, coarse)
        return self.of_targets

    def done(self, stage: str) -> StageDone:
        """The event for the block that was timed last."""
        return StageDone(stage=stage, seconds=self.last)
