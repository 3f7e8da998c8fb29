"""Standard streams that whoever started the program has closed, as ``>&-`` and some cron jobs do.

Python then has ``None`` in their place, on which ``flush`` is an AttributeError. Worse, the next
file that is opened gets the free descriptor, and what C code prints ends in that file.
"""

import os
import sys

_STREAMS = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def open_closed_streams() -> None:
    """Put the null device where a standard stream is closed; others stay as they are."""
    for descriptor, name, mode in _STREAMS:
        if getattr(sys, name) is not None:
            continue
        taken = _taken(descriptor)
        if not taken:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            os.set_inheritable(descriptor, True)  # child processes are to have it, too
        # A descriptor that something else has got meanwhile is not written to.
        place = os.devnull if taken else descriptor
        stream = open(place, mode, encoding="utf-8", closefd=taken)  # noqa: SIM115 - to the end
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _taken(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
