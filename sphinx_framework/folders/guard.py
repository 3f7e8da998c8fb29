"""Where the framework may write: never into what it reads, and never without a clear reason."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sphinx_framework.errors import ConfigError, JobError, SphinxError, shown

_FULL = (errno.ENOSPC, errno.EDQUOT)


def user_path(text: str | Path, option: str) -> Path:
    """The absolute path behind what the user typed, links resolved.

    Raises :class:`ConfigError` for a path no file system has: NUL, an unknown ``~user``, too long;
    and for an empty one, which would be the current folder although nobody named it.
    """
    if not isinstance(text, str | Path):
        raise ConfigError(f"{option} must be a path, as a text or pathlib.Path, got {text!r}.")
    if not str(text).strip():
        raise ConfigError(f"{option} is empty.", hint="Name a place; '.' is this folder.")
    try:
        path = Path(text).expanduser().resolve()
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            os.lstat(path)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"{option} {shown(text)}: is no path ({error}).") from None
    except OSError as error:
        raise ConfigError(
            f"{option} {shown(text)}: cannot be used: {error.strerror}.",
            hint="Choose another path.",
        ) from None
    return path


def says_full(error: OSError) -> bool:
    """Whether there is no space left on a disk, or none left for this user."""
    return error.errno in _FULL


def write_error(error: OSError, path: str | Path) -> SphinxError:
    """What to say when the file system refuses to write ``path``."""
    if says_full(error):
        return JobError(
            f"{shown(path)}: cannot be written: the disk is full.",
            hint="Free some space and run again; results that were there before are untouched.",
        )
    return ConfigError(
        f"{shown(path)}: cannot write there: {error.strerror or error}.",
        hint="Choose another place, or make this one writable.",
    )


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn every failure of the file system within into one clear error that names ``path``."""
    try:
        yield
    except OSError as error:
        raise write_error(error, path) from None


def refuse_overlap(
    out: Path, option: str, *, scenes: Iterable[str | Path] = (), files: Iterable[str | Path] = ()
) -> None:
    """Refuse an output path that is, contains or lies in a scene, or contains a file that is read.

    Links are resolved on both sides, one level of linked folders inside a scene too. Names that
    lead to nothing on disk, such as ``procedural:demo``, overlap nothing.

    Raises :class:`ConfigError` naming both.
    """
    for scene in scenes:
        for place in _places(scene):
            if _contains(place, out) or _contains(out, place):
                raise ConfigError(
                    f"{option} {shown(out)}: overlaps the scene {shown(scene)}.",
                    hint="Results never go where photos are; name a folder beside the scene.",
                )
    for file in files:
        if _is_there(_resolved(file)) and _contains(out, _resolved(file)):
            raise ConfigError(
                f"{option} {shown(out)}: holds {shown(file)}, which this command reads.",
                hint="Choose another folder for the results.",
            )


def _places(scene: str | Path) -> Iterator[Path]:
    """What belongs to a scene: its folder (for a file of cameras, those around it), linked ones."""
    from sphinx_framework.scenes.colmap_places import scene_root

    place = _resolved(scene)
    if not _is_there(place):
        place = _resolved(str(scene).rpartition(":")[0] or os.devnull)  # FOLDER:KEY
        if not _is_there(place) or not (place.is_dir() or place.is_file()):
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
        yield from (_resolved(link.path) for link in links)


def _is_there(place: Path) -> bool:
    try:
        return place.exists()
    except OSError:
        return False  # no file system has such a name, such as a long list of targets


def _resolved(path: str | Path) -> Path:
    try:
        return Path(path).expanduser().resolve()
    except (OSError, ValueError, RuntimeError):
        return Path(os.devnull)  # The reader refuses it by name; it overlaps nothing.


def _contains(outer: Path, inner: Path) -> bool:
    """Whether ``inner`` is ``outer`` or lies in it, by identity where they exist."""
    if outer in (inner, *inner.parents):
        return outer.exists()
    try:
        wanted = outer.stat()
    except OSError:
        return False
    for place in (inner, *inner.parents):
        try:
            if os.path.samestat(place.stat(), wanted):
                return True
        except OSError:
            continue
    return False
