"""The three files of a COLMAP model, binary or text: cameras, images and points, as they stand."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.colmap_cameras import MODELS, UNDISTORT, RawCamera
from sphinx_framework.scenes.colmap_places import ENDINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """One image: OpenCV world-to-camera, a quaternion (w, x, y, z) and a translation."""

    name: str
    camera: int
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]


def model_file(model: Path, stem: str) -> Path:
    """The file of a model with that stem, binary where both are there.

    Raises:
        SceneError: there is none.
    """
    for ending in ENDINGS:
        if (model / f"{stem}{ending}").is_file():
            return model / f"{stem}{ending}"
    raise SceneError(f"{model}: has no {stem}.bin or {stem}.txt.")


def read_cameras(path: Path) -> dict[int, RawCamera]:
    """Cameras by their number, none of which need be usable; raises :class:`SceneError`."""
    cameras: dict[int, RawCamera] = {}
    for key, camera in _guarded(path, _binary_cameras, _text_cameras):
        if key in cameras:
            raise SceneError(f"{path}: holds the camera {key} twice.", hint="Keep one of them.")
        cameras[key] = camera
    return cameras


def read_images(path: Path) -> list[ImageRow]:
    """Images in the order of the file; raises :class:`SceneError`."""
    return list(_guarded(path, _binary_images, _text_images))


def read_points(path: Path) -> list[tuple[float, ...]]:
    """Places of the points; raises :class:`SceneError`."""
    return list(_guarded(path, _binary_points, _text_points))


def _guarded(
    path: Path,
    binary: Callable[[BinaryIO, Path], Iterator[Any]],
    text: Callable[[list[str], Path], Iterator[Any]],
) -> Iterator[Any]:
    """Rows of a file of either kind; whatever is malformed is a :class:`SceneError`."""
    try:
        if path.suffix == ".bin":
            with path.open("rb") as file:
                yield from binary(file, path)
        else:
            yield from text(path.read_text(encoding="utf-8-sig").split("\n"), path)
    except OSError as error:
        raise SceneError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (struct.error, ValueError, KeyError, IndexError, OverflowError) as error:
        raise SceneError(
            f"{path}: is cut short or no file of a COLMAP model ({shown(error)}).",
            hint="Export the model again.",
        ) from error


def _take(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    size = struct.calcsize(f"<{layout}")
    return struct.unpack(f"<{layout}", file.read(size))


def _binary_cameras(file: BinaryIO, path: Path) -> Iterator[tuple[int, RawCamera]]:
    for _ in range(_take(file, "Q")[0]):
        key, model, width, height = _take(file, "iiQQ")
        if not 0 <= model < len(MODELS):  # how much of the file is its, is unknown
            raise SceneError(
                f"{path}, camera {key}: its model, number {model}, is no known camera model.",
                hint=UNDISTORT,
            )
        name, count = MODELS[model]
        values = _take(file, f"{count}d")
        yield key, RawCamera(model=name, size=(height, width), values=values)


def _binary_images(file: BinaryIO, path: Path) -> Iterator[ImageRow]:
    for _ in range(_take(file, "Q")[0]):
        row = _take(file, "I7dI")
        name = bytearray()
        while (letter := file.read(1)) != b"\0":
            if not letter or len(name) > 4096:
                raise ValueError("an image name has no end")
            name += letter
        skip = _take(file, "Q")[0] * 24
        if file.seek(0, 1) + skip > path.stat().st_size:
            raise ValueError("an image has more points than the file holds")
        file.seek(skip, 1)
        yield ImageRow(
            name=name.decode("utf-8"), camera=row[8], quaternion=row[1:5], translation=row[5:8]
        )


def _binary_points(file: BinaryIO, path: Path) -> Iterator[tuple[float, ...]]:
    for _ in range(_take(file, "Q")[0]):
        row = _take(file, "Q3d3BdQ")
        yield row[1:4]
        if row[-1] * 8 > path.stat().st_size:
            raise ValueError("a point has more observations than the file holds")
        file.seek(row[-1] * 8, 1)


def _text_cameras(lines: list[str], path: Path) -> Iterator[tuple[int, RawCamera]]:
    for line in lines:
        words = line.split()
        if words and not line.startswith("#"):
            key, size = int(words[0]), (int(words[3]), int(words[2]))
            values = tuple(float(word) for word in words[4:])
            yield key, RawCamera(model=words[1], size=size, values=values)


def _text_images(lines: list[str], path: Path) -> Iterator[ImageRow]:
    """Two lines an image; the second, of its points, may be empty."""
    rows = iter(line for line in lines if not line.startswith("#"))
    for line in rows:
        words = line.split(maxsplit=9)
        if not words:
            continue
        yield ImageRow(
            name=words[9].strip(),
            camera=int(words[8]),
            quaternion=tuple(float(word) for word in words[1:5]),
            translation=tuple(float(word) for word in words[5:8]),
        )
        _check_points(next(rows, ""), words[9], path)


def _check_points(line: str, name: str, path: Path) -> None:
    """Refuse a line after an image that is not its points: where a tool dropped empty lines.

    A third of it are numbers of points, the last one too; an image's line ends in a name.
    """
    words = line.split()
    if len(words) % 3 or not all(map(_is_number, (*words[9:10], *words[-1:]))):
        raise SceneError(
            f"{path}: expected the points of image {shown(name.strip())!r}, found "
            f"'{shown(line[:80].strip())}'.",
            hint="Every image has two lines, of which the second may be empty but not missing; "
            "export the model again.",
        )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _text_points(lines: list[str], path: Path) -> Iterator[tuple[float, ...]]:
    for line in lines:
        words = line.split()
        if words and not line.startswith("#"):
            if len(words) < 4:
                raise ValueError(f"the point {shown(words[0])} has no place")
            yield tuple(float(word) for word in words[1:4])
