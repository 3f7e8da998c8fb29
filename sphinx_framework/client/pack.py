"""A scene folder as what a server takes: an archive of its cameras and photos, or photos alone."""

import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sphinx_framework.errors import SceneError, shown

PHOTO_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
ENDINGS = (".json", *PHOTO_ENDINGS)
SCENE_FILES = ("transforms.json", "cameras.json")
_SKIPPED = (".", "__MACOSX")  # how names begin that a server leaves out
_LONGEST_NAME = 100


def scene_folder(scene: str | Path) -> Path:
    """The folder that a path means; raises :class:`SceneError` when there is none."""
    folder = Path(scene).expanduser()
    if folder.name in SCENE_FILES:
        folder = folder.parent
    if not folder.is_dir():
        raise SceneError(
            f"{scene}: no such scene folder.", hint="Or name a generated one: procedural:demo."
        )
    return folder


def is_posed(folder: Path) -> bool:
    """Whether a folder has cameras."""
    return any((folder / name).is_file() for name in SCENE_FILES)


def photos_of(folder: Path) -> list[Path]:
    """Photos directly in a folder.

    Raises:
        SceneError: there are none, or one has a name that cannot be sent: all of them count.
    """
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in PHOTO_ENDINGS)
    if not found:
        raise SceneError(
            f"{folder}: is no scene: it has no {' or '.join(SCENE_FILES)}, and no photos."
        )
    unsendable = next((photo for photo in found if not _is_text(photo.name)), None)
    if unsendable is not None:
        raise SceneError(
            f"{shown(unsendable)}: its name is not UTF-8 and cannot be sent.", hint="Rename it."
        )
    return found


def packed(folder: Path) -> BinaryIO:
    """A zip of what a server unpacks, in a temporary file that is open for reading.

    Left out is what the scene cannot use: other files, and names that no JSON file can hold.
    """
    out = tempfile.TemporaryFile()  # noqa: SIM115 - the sender closes it
    # Photos may be older than zip's calendar; nobody reads their dates.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        top = _top_name(folder)
        for path in sorted(_files_below(folder, (folder.resolve(),))):
            if path.suffix.lower() in ENDINGS:
                archive.write(path, f"{top}/{path.relative_to(folder).as_posix()}")
    out.seek(0)
    return out


def _files_below(folder: Path, around: tuple[Path, ...]) -> Iterator[Path]:
    """Files that are sent, also those behind links; a link to a folder around itself is a loop."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        path = folder / name
        if name.startswith(_SKIPPED) or not _is_text(name):
            continue
        if path.is_file():
            yield path
        elif path.is_dir() and (place := path.resolve()) not in around:
            yield from _files_below(path, (*around, place))


def _top_name(folder: Path) -> str:
    """The folder's name where a server takes it: the scene is then called so."""
    name = folder.resolve().name
    fits = name.isprintable() and 0 < len(name.encode(errors="replace")) <= _LONGEST_NAME
    refused = name.startswith(_SKIPPED) or "\\" in name or ":" in name
    return name if fits and not refused else "scene"


def _is_text(name: str) -> bool:
    """Whether a file's name is UTF-8: others hold lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)
