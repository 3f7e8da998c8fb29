"""A state of the whole process that several threads want at once: set by the first, put back once.

Threads that each save and restore it would take it from one another, or leave it for good.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager


class SharedBlock:
    """The first thread in enters the context, the last one out leaves it."""

    def __init__(self, make: Callable[[], AbstractContextManager[object]]) -> None:
        """make: the context anew, each time that somebody is the first."""
        self._make = make
        self._lock = threading.Lock()
        self._inside = 0
        self._open = ExitStack()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be inside for a block."""
        with self._lock:
            if not self._inside:
                self._open = ExitStack()
                self._open.enter_context(self._make())
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._open.close()
