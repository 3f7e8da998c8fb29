"""Unpacking a scene from an archive that may be hostile: all of it is safe, or all is refused."""

import shutil
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

from sphinx_framework.serve.archive_members import Limits, Member, members, too_large
from sphinx_framework.serve.archive_names import Names, wanted
from sphinx_framework.serve.problems import Problem, clean
from sphinx_framework.serve.storage import is_full

LARGEST_JSON = 4 << 20
SCENE_FILES = ("transforms.json", "cameras.json")
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    LookupError,
    OverflowError,
)


def unpack(archive: Path, folder: Path, limits: Limits) -> str:
    """Unpack the scene of a zip or tar into a new folder; returns its top folder's name, or "".

    Raises:
        Problem: ``archive-unsafe``, ``upload-too-large`` or ``scene-invalid``. What was unpacked
            until then is the caller's to remove.
    """
    folder.mkdir()
    names = Names()
    left = limits.unpacked_bytes
    try:
        for member in members(archive, limits):
            names.add(member.name, folder=member.folder)
            if not member.folder and member.name and wanted(member.name):
                left = _write(member, folder / member.name, left, limits)
    except UnicodeError:
        raise Problem("archive-unsafe", "A member's name is not UTF-8.") from None
    except _DAMAGED as error:
        if is_full(error):
            raise
        reason = clean(type(error).__name__, 60)
        raise Problem("scene-invalid", f"The archive is damaged ({reason}).") from None
    return _lift(folder)


def _write(member: Member, target: Path, left: int, limits: Limits) -> int:
    """Unpack one file, counting what really comes out; returns how much still may."""
    target.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with member.open() as source, open(target, "xb") as out:
        while chunk := source.read(1 << 16):
            size += len(chunk)
            if size > left:
                raise too_large(limits)
            out.write(chunk)
    if size > LARGEST_JSON and member.name.lower().endswith(".json"):
        raise Problem("scene-invalid", f"{clean(member.name, 100)}: is larger than 4 MiB.")
    return left - size


def _lift(folder: Path) -> str:
    """Make the one scene's folder the top; raises :class:`Problem` unless there is one."""
    places = sorted({path.parent for name in SCENE_FILES for path in folder.rglob(name)})
    if not places:
        raise Problem(
            "scene-invalid",
            "The archive holds no scene.",
            hint=f"A scene folder has one of: {', '.join(SCENE_FILES)}.",
        )
    if len(places) > 1:
        raise Problem("scene-invalid", "The archive holds more than one scene.")
    place = places[0]
    if place == folder:
        return ""
    if place.parent != folder:
        raise Problem("scene-invalid", "The scene lies deeper than in one top folder.")
    top = folder.with_name(folder.name + "-top")
    place.rename(top)
    shutil.rmtree(folder)
    top.rename(folder)
    return place.name
