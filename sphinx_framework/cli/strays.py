"""Threads that outlive the work: waited for a while, then named, and the program ends without them.

Python waits for threads that are no daemons for ever; one that a plugin started and never ends
would keep a finished command from ending.
"""

import atexit
import os
import sys
import threading
import time
from contextlib import suppress

PATIENCE_SECONDS = 5.0


def end_in_time(code: int) -> None:
    """Let the interpreter end; :data:`PATIENCE_SECONDS` from now at the latest, with this code.

    Returns at once. Idle workers of thread pools end with the interpreter, so nothing is judged
    before the time is over.
    """
    if strays():
        threading.Thread(target=_give_up, args=(code,), daemon=True, name="patience").start()


def strays() -> list[threading.Thread]:
    """Threads beside the main one for which Python would wait."""
    main = threading.main_thread()
    return [t for t in threading.enumerate() if t is not main and not t.daemon]


def _give_up(code: int) -> None:
    time.sleep(PATIENCE_SECONDS)
    for thread in strays():
        sys.stderr.write(
            f"the thread {thread.name!r}{_whose(thread)} did not end within "
            f"{PATIENCE_SECONDS:g} s; the program ends without it. Threads that a plugin starts "
            "must be daemons.\n"
        )
    sys.stderr.flush()
    atexit._run_exitfuncs()
    os._exit(code)


def _whose(thread: threading.Thread) -> str:
    """The module whose code began the thread, and its distribution, where that can be told."""
    from importlib.metadata import packages_distributions

    frame = sys._current_frames().get(thread.ident or 0)
    module = ""
    while frame is not None:  # from where it is now out to where it began
        name = str(frame.f_globals.get("__name__", ""))
        module = module if name.split(".")[0] in ("threading", "concurrent") else name
        frame = frame.f_back
    if not module:
        return ""
    owners: list[str] = []
    with suppress(Exception):  # one damaged distribution hides what all of them hold
        owners = packages_distributions().get(module.split(".")[0], [])
    return f" of {module}" + (f" ({', '.join(sorted(set(owners)))})" if owners else "")
