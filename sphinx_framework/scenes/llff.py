"""Reader of LLFF captures: ``poses_bounds.npy`` and ``images`` (or ``images_4``, ``images_8``).

A row holds a 3x5 matrix and two depths. The matrix is camera-to-world with the axes down, right,
backward, and a column of height, width and focal length. Rows follow the photos' names as texts
are sorted, ``a10`` before ``a2``: so does what writes them (LLFF's ``imgs2poses``). In the order of
the capture, ``a2`` before ``a10``, the first and the last photo are inputs and everything between
them is a target.
"""

from pathlib import Path

import numpy as np
import torch

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.array_files import load_array
from sphinx_framework.scenes.capture import Capture, Shot, validate_poses
from sphinx_framework.scenes.files import PHOTO_ENDINGS, is_hidden, natural_key
from sphinx_framework.texts import counted

POSES_FILE = "poses_bounds.npy"
_FOLDERS = ("images", "images_2", "images_4", "images_8")


def read_llff(folder: Path) -> Capture:
    """Read the cameras of an LLFF capture; image files stay unread.

    Raises:
        SceneError: a file that is no such array, another number of photos than of rows, or poses
            that cannot be.
    """
    path = folder / POSES_FILE
    rows = load_array(path, f"{path}:")
    if rows.ndim != 2 or rows.shape[1] != 17 or not len(rows) or rows.dtype.kind not in "fiu":
        raise SceneError(
            f"{path}: must be an array of rows of 17 numbers, got {rows.dtype} {rows.shape}."
        )
    # Few, and the file may change.
    rows = np.array(rows, dtype=None if rows.dtype.kind == "f" else np.float64)
    if not np.isfinite(rows).all():
        raise SceneError(f"{path}: holds NaN or infinity.")
    files = _photos(folder)
    if len(files) != len(rows):
        raise SceneError(
            f"{path}: has {counted(len(rows), 'row')}, but {files[0].parent if files else folder} "
            f"has {counted(len(files), 'photo')}.",
            hint="Rows follow the photos' names, one each.",
        )
    along = sorted(files, key=lambda file: natural_key(file.name))
    shots = [
        _shot(f"{path}, row {i}", row, files[i], along.index(files[i]))
        for i, row in enumerate(rows)
    ]
    validate_poses(shots, f"{path}: row")
    shots.sort(key=lambda shot: shot.order or 0.0)
    near, far = float(rows[:, 15].min()), float(rows[:, 16].max())
    usable = 0 < near < far
    told = f"{path}: its depths, {near:.6g} to {far:.6g}, cannot be near and far and are not used"
    last = len(shots) - 1
    return Capture(
        name=folder.resolve().name,
        shots=tuple(shots),
        inputs=tuple(sorted({0, last})),
        targets=tuple(range(1, last)),
        near=near if usable else None,
        far=far if usable else None,
        warnings=() if usable else (told,),
    )


def _photos(folder: Path) -> list[Path]:
    """The photos in the order of the rows."""
    for name in _FOLDERS:
        place = folder / name
        if place.is_dir():
            files = [f for f in place.iterdir() if f.suffix.lower() in PHOTO_ENDINGS]
            found = sorted(
                (f for f in files if not is_hidden(f) and not f.is_dir()),
                key=lambda file: file.name,
            )
            if found:
                return found
    return []


def _shot(where: str, row: np.ndarray, file: Path, index: int) -> Shot:
    matrix = torch.from_numpy(row[:15].astype(np.float64).reshape(3, 5))
    height, width, focal = (float(value) for value in matrix[:, 4])
    if not (1 <= height <= 1e6 and 1 <= width <= 1e6):
        raise SceneError(f"{where}: an image of {width:g}x{height:g} cannot be.")
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = matrix[:, 1], matrix[:, 0], -matrix[:, 2]
    pose[:3, 3] = matrix[:, 3]
    return Shot(
        where=where,
        file=file,
        world_from_camera=pose,
        intrinsics=torch.tensor(
            [[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], dtype=torch.float64
        ),
        normalised=False,
        image_size=(round(height), round(width)),
        order=float(index),
    )
