"""Libraries' warnings kept from the user, whichever threads want that at once.

Python's warning filters belong to the process. Threads that each save and restore them
(``warnings.catch_warnings``) may leave them silent for good, or take the silence of another away.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class _Quiet:
    """The first thread in puts the filter, the last one out restores what was there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = warnings.catch_warnings()

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._before.__exit__(None, None, None)


_QUIET = _Quiet()


@contextmanager
def quiet_warnings() -> Iterator[None]:
    """No warning is shown, in any thread, until the last one inside has left."""
    _QUIET.enter()
    try:
        yield
    finally:
        _QUIET.leave()
