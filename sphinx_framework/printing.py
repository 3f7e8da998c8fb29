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

from sphinx_framework.shared_block import SharedBlock


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


_INSIDE: Counter[int] = Counter()


@contextmanager
def _by_thread() -> Iterator[None]:
    usual = sys.stdout
    ours = _ByThread(usual, _INSIDE)
    sys.stdout = ours
    try:
        yield
    finally:
        if sys.stdout is ours:  # else somebody put another there
            sys.stdout = usual


_PRINTS = SharedBlock(_by_thread)


@contextmanager
def prints_to_stderr() -> Iterator[None]:
    """What this thread prints within goes to stderr."""
    thread = threading.get_ident()
    with _PRINTS.inside():
        _INSIDE[thread] += 1
        try:
            yield
        finally:
            _INSIDE[thread] -= 1
            if not _INSIDE[thread]:
                del _INSIDE[thread]
