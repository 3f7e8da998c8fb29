"""From a file name in a scene's JSON to the file that is meant; never one outside of the folder."""

import errno
import os
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from sphinx_framework.errors import SceneError, shown

PHOTO_ENDINGS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff")
HEIC_ENDINGS = (".heic", ".heif")
# Pictures of other kinds, which cameras and phones leave beside their photos.
OTHER_PICTURES = (
    *(".avif", ".gif", ".jxl", ".jp2", ".tga", ".exr", ".hdr", ".ppm", ".pgm", ".svg", ".psd"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"),
)
# Folders of scaled copies, as nerfstudio, DL3DV and LLFF name them: images_4 is a quarter.
_SCALED = range(2, 65)
_IMAGES = "images"
_DRIVE = re.compile(r"^[A-Za-z]:/")
_URL, _HOME = "file://", "~/"
_ANY_ENDING = (*PHOTO_ENDINGS, *HEIC_ENDINGS)
_ENDINGS_DIFFER = "photos have other endings on disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The file behind a name.

    scale: how many times smaller than the named one it is. note: how it differs from the name, a
    few words that are the same for all files of one kind.
    """

    path: Path
    scale: int = 1
    note: str = ""


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key by which ``frame_10`` comes after ``frame_9``."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(p)) if p.isdecimal() else (1, p.lower()) for p in parts if p)


def is_hidden(path: Path) -> bool:
    """Whether a file is none of the user's photos: ``.thumb.jpg``, macOS's ``._a.jpg``."""
    return path.name.startswith(".")


def file_inside(folder: Path, name: str, where: str) -> Path:
    """Join a file name of a scene's JSON to its folder; names that lead outside are refused.

    Raises:
        SceneError: an absolute name, or one that climbs out of the folder.
    """
    inside = os.path.normpath(name)
    if os.path.isabs(inside) or inside.split(os.sep)[0] == os.pardir or "\0" in name:
        raise SceneError(
            f"{where}: the file name '{shown(name)}' leads out of the scene folder.",
            hint="Name files relative to the folder of the JSON file.",
        )
    path = folder / inside
    try:
        os.lstat(path)
    except ValueError:
        raise SceneError(f"{where}: '{shown(name)}' is no file name.") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise SceneError(f"{where}: the file name '{shown(name)}' is too long.") from None
    return path


def find_photo(folder: Path, name: str, where: str) -> Found:
    """The image file that a name stands for.

    Taken as written if it is there. Else: backslashes are separators; an absolute name counts when
    it lies in the folder, or by the longest end of it that does; a missing ending is completed;
    ``images/`` gives way to ``images_2``, ``images_4`` and so on; another ending of a photo
    counts where only one file has it; a bare name may be one in ``images``; ``%20`` is a space.
    A name with no such file comes back as written. Capitals and accents count where a file has the
    very name, and not otherwise: macOS and Windows do not tell them apart.

    Raises:
        SceneError: the name leads out of the folder.
    """
    plain = name if "\\" not in name or _is_file(folder / name) else name.replace("\\", "/")
    if plain.startswith((_URL, _HOME)) and not _is_file(folder / plain):
        plain = "/" + plain.removeprefix(_URL).removeprefix(_HOME)
    absolute = plain.startswith("/") or _DRIVE.match(plain)
    spelt = dict.fromkeys((plain, unquote(plain)))
    candidates = [
        candidate
        for spelling in spelt
        for candidate in (_ends if absolute else _relative)(folder, spelling)
    ]
    for relative in candidates:
        path = file_inside(folder, relative, where)
        notes = ["absolute file names are read as names in the scene folder"] if absolute else []
        if _is_file(path):
            return Found(path=path, note=notes[0] if notes else "")
        completed = _completed(path)
        if completed is not None:
            return Found(path=completed, note=notes[0] if notes else "")
        other = _other_spelling(path)
        if other is not None:
            return Found(path=other, note="names are spelt otherwise on disk (capitals, accents)")
        exchanged = _exchanged(path)
        if exchanged is not None:
            return Found(path=exchanged, note=_ENDINGS_DIFFER)
        scaled = _scaled(folder, PurePosixPath(os.path.normpath(relative)))
        if scaled is not None:
            return scaled
    if absolute:
        raise SceneError(
            f"{where}: the file name '{shown(name)}' leads out of the scene folder, and no end of "
            "it is there.",
            hint="Name files relative to the folder of the JSON file.",
        )
    return Found(path=file_inside(folder, plain, where))


def _is_file(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False


def _relative(folder: Path, name: str) -> list[str]:
    """A relative name, then the one in ``images`` that a bare name may mean."""
    bare = name.removeprefix("./")
    inner = "/" not in bare and bare and (folder / _IMAGES).is_dir()
    return [name, f"{_IMAGES}/{bare}"] if inner else [name]


def _ends(folder: Path, name: str) -> list[str]:
    """Relative names that an absolute one may mean: inside the folder, then ever shorter ends."""
    parts = [part for part in name.split("/") if part and not _DRIVE.match(f"{part}/")]
    if "\0" in name or os.pardir in parts:
        return []
    root = folder.resolve().as_posix().rstrip("/") + "/"
    places = (root, Path(os.path.abspath(folder)).as_posix().rstrip("/") + "/")
    inside = [name[len(place) :] for place in places if name.startswith(place)]
    return [*inside, *("/".join(parts[start:]) for start in range(len(parts)))]


def _completed(path: Path) -> Path | None:
    """The file with a photo's ending, where the name has none."""
    for ending in _ANY_ENDING:
        for spelt in (ending, ending.upper()):
            candidate = path.with_name(path.name + spelt)
            if _is_file(candidate):
                return candidate
    return None


def _exchanged(path: Path) -> Path | None:
    """The one photo of that name with another ending."""
    if path.suffix.lower() not in _ANY_ENDING:
        return None
    try:
        names = _listed(path.parent)
    except OSError:
        return None
    endings = {path.stem + ending for ending in _ANY_ENDING}
    found = [name for name in names if Path(name).stem + Path(name).suffix.lower() in endings]
    return (
        path.with_name(found[0]) if len(found) == 1 and _is_file(path.with_name(found[0])) else None
    )


def _other_spelling(path: Path) -> Path | None:
    """The one file that a system which ignores capitals and the form of accents would open."""
    found = _spelt(path)
    return found if found is not None and _is_file(found) else None


def _spelt(path: Path) -> Path | None:
    """The one file or folder, in a folder that may be spelt otherwise too."""
    try:
        parent = path.parent if path.parent.is_dir() else _spelt(path.parent)
        names = () if parent is None else _listed(parent)
    except OSError:
        return None
    meant = _folded(path.name)
    found = [name for name in names if _folded(name) == meant]
    return parent / found[0] if parent is not None and len(found) == 1 else None


@lru_cache(maxsize=8)
def _listed_at(folder: Path, changed: int) -> tuple[str, ...]:
    return tuple(os.listdir(folder))


def _listed(folder: Path) -> tuple[str, ...]:
    return _listed_at(folder, folder.stat().st_mtime_ns)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _scaled(folder: Path, name: PurePosixPath) -> Found | None:
    """The same file in a folder of smaller copies."""
    if len(name.parts) < 2:
        return None
    first, rest = name.parts[-2], name.name
    for scale in _SCALED:
        place = folder.joinpath(*name.parts[:-2], f"{first}_{scale}")
        if not place.is_dir():
            continue
        for path in (place / rest, _completed(place / rest), _exchanged(place / rest)):
            if path is not None and _is_file(path):
                note = f"'{first}' is not there; the smaller photos of '{first}_{scale}' are used"
                return Found(path=path, scale=scale, note=note)
    return None
