"""``--json``: one object on stdout and nothing else, whatever anybody prints meanwhile."""

import io
import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class _Answer:
    """Where the answer goes while :func:`only_the_answer` keeps stdout for it."""

    stream: TextIO | None = None


def print_json(answer: dict[str, Any], indent: int | None = None) -> None:
    """Print a command's answer; NaN and infinity, which JSON has not, are ``null``."""
    text = json.dumps(_finite(answer), indent=indent, allow_nan=False)
    print(text, file=_Answer.stream or sys.stdout, flush=True)


@contextmanager
def only_the_answer() -> Iterator[None]:
    """Send what is printed in this block to stderr, from C and child processes too.

    A plugin may print whenever its code runs; only :func:`print_json` still reaches stdout.
    """
    kept, descriptor = sys.stdout, None
    # It may be replaced by something without a file, in a test or a notebook.
    with suppress(io.UnsupportedOperation, ValueError, AttributeError):
        descriptor = kept.fileno()
    copy = None
    try:
        if descriptor is None:
            _Answer.stream = kept
        else:
            kept.flush()
            copy = os.dup(descriptor)
            os.dup2(sys.stderr.fileno(), descriptor)
            _Answer.stream = os.fdopen(copy, "w", encoding="utf-8", closefd=False)
        sys.stdout = sys.stderr
        yield
    finally:
        sys.stdout = kept
        if _Answer.stream is not None and copy is not None and descriptor is not None:
            _flushed(kept)
            _Answer.stream.flush()
            os.dup2(copy, descriptor)
            os.close(copy)
        _Answer.stream = None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _flushed(stream: TextIO) -> None:
    """What was buffered for stdout by code that kept the stream belongs to stderr, too."""
    with suppress(OSError, ValueError):
        stream.flush()
