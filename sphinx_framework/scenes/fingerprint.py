"""Whether what a name stands for changed on disk: files by name, size and time, unread."""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from sphinx_framework.scenes.places import scene_places


def fingerprint(name: str) -> str:
    """A digest of all files of a scene or file, wherever it lies; empty for what is not on disk.

    ``FILE:KEY`` is the file, and a file of cameras stands for the folder with its photos.
    """
    places = dict.fromkeys(scene_places(name))
    if not places:
        return ""
    seen: set[tuple[int, int]] = set()
    rows = [row for place in places for row in sorted(_rows(place, seen))]
    return sha256("\n".join(rows).encode(errors="surrogateescape")).hexdigest()


def _rows(place: Path, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Every file below a place, linked folders too; ``seen``: folders that had their turn."""
    if not place.is_dir():
        yield _row(place, place.name)
    for folder, below, files in os.walk(place, followlinks=True):
        known = os.stat(folder)
        if (known.st_dev, known.st_ino) in seen:  # a link back to where it lies in
            below.clear()
            continue
        seen.add((known.st_dev, known.st_ino))
        yield from (_row(Path(folder, file), os.path.relpath(folder, place)) for file in files)


def _row(file: Path, folder: str) -> str:
    try:
        known = file.stat()
    except OSError:  # a link to nothing, a file that has just gone
        return f"{folder} {file.name} gone"
    return f"{folder} {file.name} {known.st_size} {known.st_mtime_ns}"
