"""Files of a study: written whole or not at all, named after scenes."""

import hashlib
import os
from pathlib import Path

from sphinx_framework.errors import ConfigError

LONGEST_NAME = 80


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that a killed run leaves the old one or the new one, never a part.

    Raises :class:`ConfigError` when the folder cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        if isinstance(content, str):
            part.write_text(content, encoding="utf-8")
        else:
            part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written: {error.strerror}.", hint="Choose another place."
        ) from None


def file_stem(name: str) -> str:
    """A file name for a scene: readable, and distinct for distinct names."""
    readable = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{readable[-LONGEST_NAME:].lstrip('.')}-{digest}"
