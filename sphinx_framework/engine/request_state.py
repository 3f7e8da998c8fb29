"""The running state of one request; nothing of it outlives or leaves the request."""

from dataclasses import dataclass, field
from time import perf_counter

from sphinx_framework.energy.meter import Reading
from sphinx_framework.engine.events import StageDone
from sphinx_framework.engine.loop import Move
from sphinx_framework.engine.result import Seconds
from sphinx_framework.policy.schedule import Mode, Schedule
from sphinx_framework.types import Scene


@dataclass(slots=True, kw_only=True)
class Request:
    """The running state of one request: results so far, clocks, what was executed."""

    scene: Scene
    mode: Mode
    quality: float
    seed: int
    seconds: Seconds = field(default_factory=Seconds)
    moves: list[tuple[int, Schedule, Move]] = field(default_factory=list)
    cache_bytes_peak: int = 0
    energy: Reading = field(default_factory=Reading)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def clock(self, stage: str, started: float) -> StageDone:
        """Book the time since ``started`` under a stage."""
        seconds = perf_counter() - started
        setattr(self.seconds, stage, getattr(self.seconds, stage) + seconds)
        return StageDone(stage=stage, seconds=seconds)
