"""Heavy imports with garbage collection put off: what they make lives as long as the process.

A fifth of the time in which torch is imported is spent looking for garbage that is not there.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Within it nothing is collected; what it made is never looked at again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
