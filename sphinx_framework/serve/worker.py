"""A worker process: one engine, one thread, told over its socket what to do.

Started as ``python -m sphinx_framework.serve.worker FD PARENT``. It ends with its server: by the
kernel's parent-death signal, and by the end of its socket.
"""

import ctypes
import os
import signal
import socket
import sys
from time import perf_counter
from typing import Any

from sphinx_framework.allocator import keep_freed_memory
from sphinx_framework.errors import InputError, SphinxError
from sphinx_framework.serve.wire import GoneError, Line
from sphinx_framework.short_waits import wait_shortly

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Build the engine, say so, and serve until the server closes the socket."""
    descriptor, parent = int(arguments[0]), int(arguments[1])
    keep_freed_memory()
    wait_shortly()
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to handle
    line = Line(socket.socket(fileno=descriptor))
    try:
        setup = line.receive()
        workbench = _workbench(setup, line)
        if workbench is None:
            return 1
        from sphinx_framework.serve.desk import Desk

        Desk(workbench, line, setup["batch"]).run()
    except GoneError:
        pass
    return 0


def end_with(parent: int) -> None:
    """Die when the parent process does (Linux; elsewhere the socket's end tells)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _workbench(setup: dict[str, Any], line: Line) -> Any:
    """The engine and its caches, or nothing when it cannot be built."""
    began = perf_counter()
    try:
        from sphinx_framework.serve.workbench import Workbench

        workbench = Workbench.open(setup)
    except SphinxError as error:
        line.send(
            {
                "fatal": error.message,
                "hint": error.hint,
                "input": isinstance(error, InputError),
            }
        )
        return None
    line.send({"ready": workbench.facts(), "seconds": perf_counter() - began})
    return workbench


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
