"""Whether other threads were at work too, who may have changed what belongs to the process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Stay:
    """One thread's time inside; accompanied: another thread was inside in the meantime."""

    thread: int
    accompanied: bool = False


class Company:
    """Those who are inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stays: list[Stay] = []

    @contextmanager
    def inside(self) -> Iterator[Stay]:
        """Be inside for a block."""
        stay = Stay(threading.get_ident())
        with self._lock:
            others = [other for other in self._stays if other.thread != stay.thread]
            for other in others:
                other.accompanied = True
            stay.accompanied = bool(others)
            self._stays.append(stay)
        try:
            yield stay
        finally:
            with self._lock:
                self._stays.remove(stay)


# Calls of components, and steps with other kernels than the host's, in this process.
AT_WORK = Company()
