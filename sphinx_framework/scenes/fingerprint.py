"""Whether what a name stands for changed on disk: files by name, size and time, unread."""

import os
from hashlib import sha256
from pathlib import Path


def fingerprint(name: str) -> str:
    """A digest of all files below a path, wherever it lies; empty for what is not on disk.

    ``FILE:KEY`` is the file.
    """
    place = next(
        (
            Path(path).expanduser()
            for path in (name, name.rpartition(":")[0])
            if path and os.path.exists(os.path.expanduser(path))
        ),
        None,
    )
    if place is None:
        return ""
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    rows = [
        f"{file.relative_to(place)} {stat.st_size} {stat.st_mtime_ns}"
        for file in files
        for stat in [file.lstat()]
        if not file.is_dir()
    ]
    return sha256("\n".join(rows).encode(errors="surrogateescape")).hexdigest()
