"""Reader of RealEstate10K and ACID camera files: ``NAME.txt`` and the frames of its video.

The first line names the video; every other one is a time in microseconds, ``fx fy cx cy`` in units
of the image's sides, two zeros, and a 3x4 OpenCV world-to-camera matrix. Frames are ``TIME.png``
(or ``.jpg``) in a folder ``NAME`` or ``images`` beside the file, or beside the file itself, or in
``frames/.../NAME`` where the file lies in ``cameras/...``; zeros in front, or a time in
milliseconds, are understood. Lines without a frame are left out; the first and the last frame are
inputs and the others are targets.
"""

import re
from pathlib import Path

import torch

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.capture import Capture, Shot, matrix_of, validate_poses
from sphinx_framework.scenes.doubled import doubled_photo
from sphinx_framework.scenes.files import PHOTO_ENDINGS, is_hidden
from sphinx_framework.scenes.intrinsics import Pinhole
from sphinx_framework.scenes.poses import opencv_world_from_camera, to_4x4

_COLUMNS = 19
_LONGEST_LINE = 4096


def find_re10k(path: Path) -> Path | None:
    """The camera file that a path is, or that its folder has as its only text; else none."""
    try:
        if path.suffix.lower() == ".txt" and path.is_file():
            return path
        texts = [file for file in path.glob("*.txt") if not is_hidden(file)]
        return texts[0] if len(texts) == 1 and _looks_right(texts[0]) else None
    except (OSError, ValueError):
        return None


def _looks_right(path: Path) -> bool:
    """Whether the second line of a text is a camera."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        lines = [file.readline(_LONGEST_LINE) for _ in range(2)]
    return _is_camera(lines[1].decode("utf-8", "replace"))


def _time(line: str) -> int:
    """The time at the beginning of a line, -1 where there is none."""
    first = line.partition(" ")[0]
    return int(first) if re.fullmatch("[0-9]{1,18}", first) else -1


def _is_title(line: str) -> bool:
    """Whether a first line names the video: one that begins with a time is a camera's, if cut."""
    return not _is_camera(line) and (_time(line) < 0 or len(line.split()) == 1)


def _is_camera(line: str) -> bool:
    try:
        return len([float(word) for word in line.split()]) == _COLUMNS
    except ValueError:
        return False


def read_re10k(path: Path) -> Capture:
    """Read the cameras of a camera file; image files stay unread.

    Raises:
        SceneError: a line that is malformed, unusable poses, or no frame of the video.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise SceneError(f"{path}: cannot be read as text ({shown(error)}).") from error
    folders = frame_folders(path)
    frames = _frames(folders)
    times = {_time(line) for line in lines}
    by_milliseconds = {1000 * name: file for name, file in frames.items()}
    if len({time // 1000 * 1000 for time in times} & by_milliseconds.keys()) > len(
        times & frames.keys()
    ):
        frames = by_milliseconds
    shots = []
    missing = 0
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or (number == 1 and _is_title(line)):
            continue
        shot = _shot(f"{path}, line {number}", words, frames)
        missing += shot.file is None
        shots += [] if shot.file is None else [shot]
    if not shots and not missing:
        raise SceneError(
            f"{path}: holds no line of RealEstate10K's.",
            hint="A line is TIME fx fy cx cy 0 0 and 12 numbers of a pose; name such a file, or "
            "the scene's folder.",
        )
    if not shots:
        raise SceneError(
            f"{path}: none of its {missing} times has a frame.",
            hint=f"Frames are TIME.png or TIME.jpg in {folders[0]} or {folders[1]}.",
        )
    shots.sort(key=lambda shot: shot.order or 0.0)
    validate_poses(shots, f"{path}: frame")
    last = len(shots) - 1
    twice = doubled_photo(shots)
    told = f"{path}: {missing} of {missing + len(shots)} times have no frame and are left out"
    return Capture(
        name=path.stem,
        shots=tuple(shots),
        inputs=tuple(sorted({0, last})),
        targets=tuple(range(1, last)),
        warnings=((told,) if missing else ()) + ((twice,) if twice else ()),
    )


def frame_folders(path: Path) -> list[Path]:
    """Where the frames may lie, the likeliest first."""
    found = [path.with_suffix(""), path.parent / "images", path.parent]
    parts = list(path.with_suffix("").parts)
    for index in (i for i in reversed(range(len(parts) - 1)) if parts[i] == "cameras"):
        found.insert(1, Path(*parts[:index], "frames", *parts[index + 1 :]))
    return found


def _frames(folders: list[Path]) -> dict[int, Path]:
    """Photos by the number that is their name, of the first folder that has any."""
    for folder in folders:
        try:
            files = sorted(folder.iterdir())
        except OSError:
            continue
        found = {
            int(file.stem): file
            for file in files
            if file.suffix.lower() in PHOTO_ENDINGS
            and re.fullmatch("[0-9]{1,18}", file.stem)
            and not file.is_dir()
        }
        if found:
            return found
    return {}


def _shot(where: str, words: list[str], frames: dict[int, Path]) -> Shot:
    try:
        numbers = [float(word) for word in words[1:]]
        time = int(words[0])
    except ValueError:
        raise SceneError(f"{where}: holds something that is no number.") from None
    if len(words) != _COLUMNS:
        raise SceneError(f"{where}: must hold {_COLUMNS} numbers, has {len(words)}.")
    fx, fy, cx, cy = numbers[:4]
    matrix = torch.tensor(numbers[6:], dtype=torch.float64).reshape(3, 4)
    if not bool(torch.isfinite(torch.tensor(numbers)).all()):
        raise SceneError(f"{where}: holds NaN or infinity.")
    return Shot(
        where=where,
        file=frames.get(time) or frames.get(1000 * (time // 1000)),
        world_from_camera=opencv_world_from_camera(to_4x4(matrix, where), "opencv_w2c"),
        intrinsics=matrix_of(Pinhole(fx, fy, cx, cy)),
        normalised=True,
        image_size=None,
        order=float(time),
    )
