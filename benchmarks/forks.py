"""A command in a fork, for scripts that kill it: imports are paid once, by the parent."""

import os
from collections.abc import Callable
from pathlib import Path


def forked(run: Callable[[], int], said: Path) -> int:
    """Run it in a child, whose exit code it gives; what it says goes to a file. The process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        code = run()
    finally:
        os._exit(code)
