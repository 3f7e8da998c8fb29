"""Events of the emulated device, which does everything at once."""

from collections.abc import Callable
from time import perf_counter


class EmulatedEvent:
    """An event in the device's queue; ``wait`` is told when the host waits for it."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self.wait, self.at = wait, 0.0

    def record(self) -> None:
        """Note the time."""
        self.at = perf_counter()

    def synchronize(self) -> None:
        """Waits for the device."""
        self.wait()

    def elapsed_time(self, end: "EmulatedEvent") -> float:
        """Milliseconds between two events."""
        return 1e3 * (end.at - self.at)
