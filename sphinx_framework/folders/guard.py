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
    from sphinx_framework.scenes.places import is_there, resolved, scene_places

    for scene in scenes:
        for place in scene_places(scene):
            if _contains(place, out) or _contains(out, place):
                raise ConfigError(
                    f"{option} {shown(out)}: overlaps the scene {shown(scene)}.",
                    hint="Results never go where photos are; name a folder beside the scene.",
                )
    for file in files:
        if is_there(resolved(file)) and _contains(out, resolved(file)):
            raise ConfigError(
                f"{option} {shown(out)}: holds {shown(file)}, which this command reads.",
                hint="Choose another folder for the results.",
            )


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
