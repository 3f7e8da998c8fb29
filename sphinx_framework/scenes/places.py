"""Where on disk a scene lies: what nobody may write to, and what its content is."""

import os
from collections.abc import Iterator
from pathlib import Path

from sphinx_framework.scenes.colmap_places import scene_root


def scene_places(scene: str | Path) -> Iterator[Path]:
    """What belongs to a scene: its folder (for a file of cameras, those around it), linked ones."""
    place = resolved(scene)
    if not is_there(place):
        place = resolved(str(scene).rpartition(":")[0] or os.devnull)  # FOLDER:KEY
        if not is_there(place) or not (place.is_dir() or place.is_file()):
            return
    if place.suffix.lower() in (".json", ".npy", ".torch") and not place.is_dir():
        place = place.parent
    yield place
    root = scene_root(place)
    if root is not None:
        yield root  # the photos of a model lie beside it
    elif place.suffix.lower() == ".txt" and place.is_file():
        from sphinx_framework.scenes.re10k import frame_folders  # loads torch: only where needed

        beside = (folder for folder in frame_folders(place) if folder != place.parent)
        yield from (folder for folder in beside if folder.is_dir())
    if place.is_dir():
        try:
            links = [entry for entry in os.scandir(place) if entry.is_symlink() and entry.is_dir()]
        except OSError:
            return
        yield from (resolved(link.path) for link in links)


def is_there(place: Path) -> bool:
    """Whether something is at a path; names that no file system has lead nowhere."""
    try:
        return place.exists()
    except OSError:
        return False  # no file system has such a name, such as a long list of targets


def resolved(path: str | Path) -> Path:
    """The absolute path, links resolved."""
    try:
        return Path(path).expanduser().resolve()
    except (OSError, ValueError, RuntimeError):
        return Path(os.devnull)  # The reader refuses it by name; it overlaps nothing.
