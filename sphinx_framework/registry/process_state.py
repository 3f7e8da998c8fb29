"""What belongs to the whole process, kept as it is while a plugin's code is imported.

A module that changes the current folder, the handling of Ctrl-C, torch's default type or the root
logger would change it for everybody. It is put back, and the user is told whose doing it was.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sphinx_framework.printing import prints_to_stderr


@contextmanager
def kept_process(what: str) -> Iterator[None]:
    """Keep the process as it is over this block; ``what`` is imported in it.

    What it prints goes to stderr, so that it does not mix with the answer of a command.
    """
    before = _state()
    try:
        with prints_to_stderr():
            yield
    finally:
        for name, restore in _changes(before):
            restore()
            sys.stderr.write(f"{what} changed {name}; that is undone.\n")


def _state() -> dict[str, Any]:
    torch, root = sys.modules.get("torch"), logging.getLogger()
    try:
        folder: str | None = os.getcwd()
    except OSError:  # it is gone
        folder = None
    return {
        "folder": folder,
        "interrupt": signal.getsignal(signal.SIGINT),
        "handlers": list(root.handlers),
        "level": root.level,
        "torch": None if torch is None else _of_torch(torch),
    }


def _of_torch(torch: Any) -> dict[str, Any]:
    return {
        "default type": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "recording of gradients": torch.is_grad_enabled(),
        "number of threads": torch.get_num_threads(),
    }


def _changes(before: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(what was changed, how to put it back)."""
    now, root = _state(), logging.getLogger()
    folder = before["folder"]
    if folder is not None and now["folder"] != folder:
        yield "the current folder", lambda: os.chdir(folder)
    main = threading.current_thread() is threading.main_thread()
    if main and before["interrupt"] is not None and now["interrupt"] != before["interrupt"]:
        yield "the handling of Ctrl-C", lambda: signal.signal(signal.SIGINT, before["interrupt"])
    if (now["handlers"], now["level"]) != (before["handlers"], before["level"]):

        def restore_logging() -> None:
            root.handlers[:] = before["handlers"]
            root.setLevel(before["level"])

        yield "the root logger", restore_logging
    torch = sys.modules.get("torch")
    if torch is not None:
        usual = before["torch"] or {"default type": torch.float32, "recording of gradients": True}
        put = {
            "default type": torch.set_default_dtype,
            "default device": torch.set_default_device,
            "recording of gradients": torch.set_grad_enabled,
            "number of threads": torch.set_num_threads,
        }
        came = _of_torch(torch)
        for name in [name for name, value in usual.items() if came[name] != value]:
            yield f"torch's {name}", partial(put[name], usual[name])
