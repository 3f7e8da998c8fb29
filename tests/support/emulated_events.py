"""Events of the emulated device, which does everything at once, and who asked for them."""

import linecache
import sys
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


def asked_at() -> str:
    """The innermost line of this project on the stack, without the tests' support."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        ours = "sphinx_framework" in name or "/tests/road/" in name
        if ours and "site-packages" not in name:
            line = linecache.getline(name, frame.f_lineno).strip()
            return f"{'/'.join(name.split('/')[-2:])}:{frame.f_lineno} {line}"
        frame = frame.f_back  # type: ignore[assignment]
    return "?"
