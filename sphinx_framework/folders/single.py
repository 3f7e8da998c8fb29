"""A single text file as output, such as a rule file: ours by its first line, replaced whole."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from sphinx_framework.errors import ConfigError, shown
from sphinx_framework.folders.guard import refuse_overlap, user_path, writing
from sphinx_framework.folders.manifest import is_plain_file

_CLAIM = "# written by sphinx-nvs; sha256 of what follows: "


def open_file(
    text: str | Path, option: str, *, scenes: Iterable[str | Path] = (), parents: bool = False
) -> Path:
    """The path of a file to be written later, checked now.

    parents: make the folders around it where they do not exist.

    Raises:
        ConfigError: a folder, a file that is not ours or was edited, or a place in a scene or where
            nothing can be written.
    """
    path = user_path(text, option)
    if path.is_dir():
        raise ConfigError(f"{option} {shown(text)}: is a folder; name the file to write.")
    for scene in scenes:
        refuse_overlap(path, option, scenes=[scene])
    if os.path.lexists(path) and not _is_ours(path):
        raise ConfigError(
            f"{option} {shown(text)}: is there already, and no run wrote it as it is now.",
            hint="Choose another name, or move it away.",
        )
    with writing(f"{option} {shown(path.parent)}"):
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        part = _part(path)
        part.write_bytes(b"")
        part.unlink()
    return path


def write_file(path: Path, text: str) -> None:
    """Write the file that :func:`open_file` has checked: the old one or the new one, never a part.

    The first line is a comment that makes it ours until somebody edits it.
    """
    if os.path.lexists(path) and not _is_ours(path):
        raise ConfigError(f"{shown(path)}: is in the way and is not ours.", hint="Move it away.")
    content = text.encode()
    claim = f"{_CLAIM}{hashlib.sha256(content).hexdigest()}\n".encode()
    part = _part(path)
    with writing(path):
        try:
            with part.open("wb") as file:
                file.write(claim + content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def _part(path: Path) -> Path:
    """A short name beside the file; its own length would leave none for a suffix at times."""
    return path.with_name(f".sphinx-{hashlib.sha256(path.name.encode()).hexdigest()[:12]}.part")


def _is_ours(path: Path) -> bool:
    if not is_plain_file(path):
        return False
    try:
        with path.open("rb") as file:
            first = file.readline(len(_CLAIM) + 65).rstrip(b"\n")
            rest = file.read() if first.startswith(_CLAIM.encode()) else b""
    except OSError:
        return False
    return first == f"{_CLAIM}{hashlib.sha256(rest).hexdigest()}".encode()
