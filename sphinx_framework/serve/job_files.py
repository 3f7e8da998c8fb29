"""A job's files: whole or not there, durable before they are named."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sphinx_framework.engine.result import RenderResult
from sphinx_framework.output.results import write_result
from sphinx_framework.serve.datadir import sync_folder

MEDIA_TYPES = {
    ".png": "image/png",
    ".mp4": "video/mp4",
    ".json": "application/json",
    ".ply": "application/octet-stream",
}


def publish_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file beside ``path``, then put it there, durably and at once."""
    part = path.with_name(f".{path.name}.part{path.suffix}")
    write(part)
    _place(part, path)


def publish_result(
    result: RenderResult, staging: Path, files: Path, between: Callable[[], None]
) -> list[dict[str, Any]]:
    """Write a whole result as ``render`` does, and move it file by file to where it is served.

    Returns the manifest's entries, sorted by name. ``between`` is called between files.
    """
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    write_result(result, staging)
    entries = []
    for path in sorted(p for p in staging.rglob("*") if p.is_file()):
        name = path.relative_to(staging)
        if not any(part.startswith(".") for part in name.parts):
            place = files / name
            place.parent.mkdir(parents=True, exist_ok=True)
            _place(path, place)
            entries.append(describe(files, place))
            between()
    shutil.rmtree(staging, ignore_errors=True)
    return entries


def describe(files: Path, path: Path) -> dict[str, Any]:
    """An entry of the manifest."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "name": path.relative_to(files).as_posix(),
        "media_type": MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
        "bytes": path.stat().st_size,
        "sha256": digest,
    }


def _place(part: Path, path: Path) -> None:
    handle = os.open(part, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(part, path)
    sync_folder(path.parent)
