"""A scene folder as what a server takes: an archive of its cameras and photos, or photos alone."""

import tempfile
import zipfile
from pathlib import Path
from typing import BinaryIO

from sphinx_framework.errors import SceneError

PHOTO_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
ENDINGS = (".json", *PHOTO_ENDINGS)
SCENE_FILES = ("transforms.json", "cameras.json")


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
    """Photos directly in a folder; raises :class:`SceneError` when there are none."""
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in PHOTO_ENDINGS)
    if not found:
        raise SceneError(
            f"{folder}: is no scene: it has no {' or '.join(SCENE_FILES)}, and no photos."
        )
    return found


def packed(folder: Path) -> BinaryIO:
    """A zip of what a server unpacks, in a temporary file that is open for reading."""
    out = tempfile.TemporaryFile()  # noqa: SIM115 - the sender closes it
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
            if not hidden and path.is_file() and path.suffix.lower() in ENDINGS:
                archive.write(path, f"{folder.resolve().name or 'scene'}/{name.as_posix()}")
    out.seek(0)
    return out
