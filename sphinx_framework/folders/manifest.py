"""``manifest.json``: which files of an output folder are ours, by size and digest.

A file is ours when the manifest lists its name *and* its content is the one listed. While files
are being replaced, ``writing`` holds what is to come and ``dropping`` what is to go, so that a
folder whose run was killed can be brought to the new state: see :mod:`.folder`.
"""

import hashlib
import json
import os
import stat
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCHEMA: Literal["sphinx-framework/manifest/1"] = "sphinx-framework/manifest/1"
MANIFEST = "manifest.json"
# What folders hold.
A_SCENE, RENDERED, A_STUDY, SAMPLES = "a scene", "rendered views", "a study", "calibration samples"


class Entry(BaseModel):
    """Content of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """The files of a folder that are ours, and an unfinished replacement of them.

    holds: what they are, in words; empty where nobody said.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    name: Literal["sphinx-framework/manifest/1"] = Field(default=SCHEMA, alias="schema")
    holds: str = ""
    files: dict[str, Entry] = {}
    writing: dict[str, Entry] = {}
    dropping: tuple[str, ...] = ()

    def claims(self, folder: Path, name: str) -> bool:
        """Whether the file of that name is one that we wrote, unchanged; links never are."""
        listed = [entry for entry in (self.files.get(name), self.writing.get(name)) if entry]
        path = folder / name
        if not listed or not is_plain_file(path):
            return False
        size = path.stat().st_size
        return any(entry.bytes == size for entry in listed) and entry_of(path) in listed

    def write(self, folder: Path, part: Path) -> None:
        """Replace the folder's manifest, durably; ``part`` is where it is written first."""
        content = self.model_dump(by_alias=True, mode="json", exclude_defaults=True)
        text = json.dumps(
            {"schema": SCHEMA, **content, "files": content.get("files", {})}, indent=1
        )
        with part.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; ``None`` when there is none, or one that is not ours."""
    path = folder / MANIFEST
    if not is_plain_file(path):
        return None
    try:
        found = Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValueError, ValidationError, RecursionError):
        return None
    names = {*found.files, *found.writing, *found.dropping}
    return found if all(is_inner_name(name) for name in names) else None


def is_inner_name(name: str) -> bool:
    """Whether a name stays inside its folder and is written in one way only."""
    path = PurePosixPath(name)
    parts_fine = bool(path.parts) and not any(part in ("..", ".") for part in path.parts)
    return parts_fine and not path.is_absolute() and str(path) == name and "\0" not in name


def is_plain_file(path: Path) -> bool:
    """Whether a path is a regular file and no link, pipe or folder."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def entry_of(path: Path) -> Entry:
    """Size and digest of a file."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return Entry(bytes=size, sha256=digest.hexdigest())
