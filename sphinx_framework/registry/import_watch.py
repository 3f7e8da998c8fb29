"""Imports of plugins' code: kept off stdout, watched while they last, ended when they hang.

A plugin that hangs at import would otherwise hang every command without a word. After
:data:`SPEAK_SECONDS` the user is told which one it is; after ``$SPHINX_FRAMEWORK_IMPORT_SECONDS``
(default :data:`LONGEST_SECONDS`) the import is interrupted where the platform can do that.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from sphinx_framework.errors import ConfigError
from sphinx_framework.registry.process_state import kept_process

IMPORT_SECONDS_VARIABLE = "SPHINX_FRAMEWORK_IMPORT_SECONDS"
SPEAK_SECONDS = 5.0
LONGEST_SECONDS = 30.0
_AGAIN_SECONDS = 1.0  # an import that catches everything is interrupted again


class ImportHangsError(BaseException):
    """The import took too long; no ``Exception``, so that ``except Exception`` lets it through."""


@contextmanager
def watched_import(what: str, hint: str, *, longest: float | None = None) -> Iterator[None]:
    """Import a plugin's code in this block; ``what`` names it to the user when it takes long.

    longest: seconds after which :class:`ImportHangsError` is raised; ``None`` takes the
        environment's, ``inf`` only tells. Raised in the main thread of a POSIX process, and where
        nobody else uses its alarm; elsewhere a hanging import is told and goes on.
    """
    limit = allowed_seconds() if longest is None else longest

    def tell() -> None:
        sys.stderr.write(f"still importing {what} after {SPEAK_SECONDS:g} s. {hint}\n")

    # A timer that is cancelled costs nothing; it is a daemon, as the import may never end.
    teller = threading.Timer(SPEAK_SECONDS, tell)
    teller.daemon = True
    teller.start()
    try:
        with kept_process(what), _alarm(limit, what):
            yield
    finally:
        teller.cancel()


def allowed_seconds() -> float:
    """The user's limit for one import; raises :class:`ConfigError` for what is no positive number.

    ``inf`` never interrupts; nothing, or an empty text, is the default.
    """
    given = os.environ.get(IMPORT_SECONDS_VARIABLE, "").strip()
    if not given:
        return LONGEST_SECONDS
    with suppress(ValueError):
        if (seconds := float(given)) > 0:
            return seconds
    raise ConfigError(
        f"${IMPORT_SECONDS_VARIABLE} is {given!r}, which is no positive number of seconds.",
        hint=f"Give a number such as {LONGEST_SECONDS:g}, inf for no limit, or unset it.",
    )


@contextmanager
def _alarm(seconds: float, what: str) -> Iterator[None]:
    if (
        seconds == float("inf")
        or not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
        or signal.getitimer(signal.ITIMER_REAL)[0] > 0
    ):
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise ImportHangsError(f"{what} did not finish importing within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
