"""What a job will take, from the jobs before it; what waiting behind others will take."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from statistics import median

from sphinx_framework.serve.store import Row

REMEMBERED = 20
FREE_SECONDS = 30.0
COSTS_ALLOWED = 4.0


@dataclass(frozen=True, slots=True)
class Work:
    """What is known of a job before its plan."""

    mode: str
    targets: int
    pixels: int

    @property
    def amount(self) -> float:
        """The unit in which seconds are remembered: megapixels of all targets."""
        return self.targets * self.pixels / 1e6


def work_of(row: Row) -> Work:
    """What a stored job is to be served."""
    scene = row["scene"]
    return Work(row["served"]["mode"], scene["targets"], scene["height"] * scene["width"])


@dataclass(slots=True)
class Predictor:
    """Mean seconds per target and pixel of the last jobs, of the same mode where there are any."""

    _by_mode: dict[str, deque[float]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=REMEMBERED))
    )
    _all: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _paces: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def observe(self, work: Work, seconds: float) -> None:
        """Remember what a finished job took; nothing is known of one that took nothing."""
        if not seconds > 0:
            return
        for known in (self._by_mode[work.mode], self._all):
            known.append(seconds / max(work.amount, 1e-9))

    def seconds(self, work: Work) -> float:
        """The predicted running time; 0 before the first job has finished."""
        known = self._by_mode.get(work.mode) or self._all
        return sum(known) / len(known) * work.amount if known else 0.0

    def compare(self, planned: float, seconds: float) -> None:
        """Remember how a job's seconds on a worker compare with those that its plan predicted."""
        if planned > 0 and seconds > 0:
            self._paces.append(seconds / planned)

    def at_pace(self, planned: float) -> float:
        """A plan's seconds as the last jobs went: on a busy machine, and with files and loading."""
        return planned * (median(self._paces) if self._paces else 1.0)

    def deadline(self, created: float, work: Work, deadline_ms: int | None) -> float:
        """The key of the queue: fixed at acceptance, so that nothing overtakes forever."""
        if deadline_ms is not None:
            return created + deadline_ms / 1000
        return created + FREE_SECONDS + COSTS_ALLOWED * self.seconds(work)
