"""Reader of RealEstate10K and ACID camera files: ``NAME.txt`` and the frames of its video.

The first line names the video; every other one is a time in microseconds, ``fx fy cx cy`` in units
of the image's sides, two zeros, and a 3x4 OpenCV world-to-camera matrix. Frames are ``TIME.png``
(or ``.jpg``) in a folder ``NAME`` or ``images`` beside the file, or beside the file itself. Lines
without a frame are left out; the first and the last frame are inputs and the others are targets.
"""

from pathlib import Path

import torch

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.capture import Capture, Shot, validate_poses
from sphinx_framework.scenes.files import PHOTO_ENDINGS
from sphinx_framework.scenes.poses import opencv_world_from_camera, to_4x4

_COLUMNS = 19


def is_re10k(path: Path) -> bool:
    """Whether a file may be a camera file."""
    return path.suffix.lower() == ".txt" and path.is_file()


def read_re10k(path: Path) -> Capture:
    """Read the cameras of a camera file; image files stay unread.

    Raises:
        SceneError: a line that is malformed, unusable poses, or no frame of the video.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise SceneError(f"{path}: cannot be read as text ({shown(error)}).") from error
    folders = [path.with_suffix(""), path.parent / "images", path.parent]
    shots = []
    missing = 0
    for number, line in enumerate(lines[1:], start=2):
        words = line.split()
        if not words:
            continue
        shot = _shot(f"{path}, line {number}", words, folders)
        missing += shot.file is None
        shots += [] if shot.file is None else [shot]
    if not shots:
        raise SceneError(
            f"{path}: none of its {missing} times has a frame.",
            hint=f"Frames are TIME.png or TIME.jpg in {folders[0]} or {folders[1]}.",
        )
    shots.sort(key=lambda shot: shot.order or 0.0)
    validate_poses(shots, f"{path}: frame")
    last = len(shots) - 1
    told = f"{path}: {missing} of {missing + len(shots)} times have no frame and are left out"
    return Capture(
        name=path.stem,
        shots=tuple(shots),
        inputs=tuple(sorted({0, last})),
        targets=tuple(range(1, last)),
        warnings=(told,) if missing else (),
    )


def _shot(where: str, words: list[str], folders: list[Path]) -> Shot:
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
    names = [place / f"{words[0]}{ending}" for place in folders for ending in PHOTO_ENDINGS]
    return Shot(
        where=where,
        file=next((name for name in names if name.is_file()), None),
        world_from_camera=opencv_world_from_camera(to_4x4(matrix, where), "opencv_w2c"),
        intrinsics=torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64),
        normalised=True,
        image_size=None,
        order=float(time),
    )
