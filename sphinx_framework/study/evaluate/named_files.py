"""Files that options name, by their content: rules that were fitted anew are other rules."""

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

_RESOURCE = re.compile(r"[A-Za-z_][\w.]*:[^:/\\]+")
# Larger files are weights: their values are looked at where they lie in networks.
LARGEST = 64 << 20


def named_files(options: Any) -> dict[str, str]:
    """A short digest for every file that a value of the options names, by that value."""
    found = {}
    for text in _texts(options):
        file = _file(text)
        if file is not None:
            found[text] = sha256(file.read_bytes()).hexdigest()[:16]
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts(inner)


def _file(text: str) -> Traversable | None:
    """The file of a path or of ``package:file``, unless it is large."""
    try:
        path = Path(text).expanduser()
        if path.is_file():
            return path if path.stat().st_size <= LARGEST else None
        if _RESOURCE.fullmatch(text):
            package, _, name = text.partition(":")
            resource = files(package) / name
            return resource if resource.is_file() else None
    except (OSError, ValueError, ImportError, TypeError, RuntimeError):
        return None  # a text that names no file
    return None
