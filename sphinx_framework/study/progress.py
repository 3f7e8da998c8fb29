"""How long the rest takes, from what was measured so far; skipped work does not count as fast."""

from collections.abc import Callable
from time import perf_counter


class Pace:
    """Counts units of work against a clock."""

    def __init__(self, total: int, clock: Callable[[], float] = perf_counter) -> None:
        self.total = total
        self.done = 0
        self.skipped = 0
        self._clock = clock
        self._started = clock()

    def advance(self, count: int = 1) -> None:
        """Book work that was done now."""
        self.done += count

    def skip(self, count: int) -> None:
        """Book work that an earlier run has done."""
        self.skipped += count

    @property
    def finished(self) -> int:
        """Units that are behind us."""
        return min(self.total, self.done + self.skipped)

    @property
    def remaining_seconds(self) -> float | None:
        """Expected seconds of the rest; ``None`` before anything was measured."""
        left = self.total - self.finished
        if left == 0:
            return 0.0
        if self.done == 0:
            return None
        return (self._clock() - self._started) / self.done * left


def told(seconds: float | None) -> str:
    """``about 3 min left``."""
    if seconds is None:
        return "remaining time unknown yet"
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} min left"
    return f"about {seconds / 3600:.1f} h left"
