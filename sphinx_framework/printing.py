"""What plugins print goes to stderr, so that it does not mix with the answer of a command.

``contextlib.redirect_stdout`` moves the prints of all threads, and two of them that overlap may
leave the process without its stdout for good. Here only the thread that asks is moved.
"""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class Unclosable:
    """A stream that stays open whoever closes it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        """Nothing: others still write to it."""
        self._stream.flush()


class _ByThread:
    """stdout for whoever is not inside, stderr for those who are."""

    def __init__(self, usual: Any, inside: Counter[int]) -> None:
        self._usual, self._inside = usual, inside

    def __getattr__(self, name: str) -> Any:
        moved = threading.get_ident() in self._inside
        return getattr(Unclosable(sys.stderr) if moved else self._usual, name)

    def close(self) -> None:
        if threading.get_ident() not in self._inside:
            self._usual.close()


class _Prints:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: Counter[int] = Counter()
        self._usual: Any = None
        self._ours: _ByThread | None = None

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._usual = sys.stdout
                self._ours = _ByThread(self._usual, self._inside)
                sys.stdout = self._ours
            self._inside[threading.get_ident()] += 1

    def leave(self) -> None:
        with self._lock:
            me = threading.get_ident()
            self._inside[me] -= 1
            if not self._inside[me]:
                del self._inside[me]
            if not self._inside and sys.stdout is self._ours:  # else somebody put another there
                sys.stdout = self._usual


_PRINTS = _Prints()


@contextmanager
def prints_to_stderr() -> Iterator[None]:
    """What this thread prints within goes to stderr."""
    _PRINTS.enter()
    try:
        yield
    finally:
        _PRINTS.leave()
