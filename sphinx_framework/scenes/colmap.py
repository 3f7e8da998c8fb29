"""Reader of COLMAP models, binary and text: ``sparse/0`` and the photos beside it.

Poses are OpenCV world-to-camera, a quaternion (w, x, y, z) and a translation; principal points
count from the corner of the image, as ours do. In the order of the photos' names, the first and
the last are inputs and everything between them is a target. Near and far come from ``points3D``.
"""

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.capture import Capture, Shot, validate_poses
from sphinx_framework.scenes.colmap_places import (
    ENDINGS,
    find_model,
    models_in,
    photo_root,
    photos_place,
)
from sphinx_framework.scenes.files import find_photo, natural_key
from sphinx_framework.scenes.lens import corner_shift, distortion_note
from sphinx_framework.scenes.poses import opencv_world_from_camera
from sphinx_framework.texts import counted

# Models by their number: name, and what their parameters are.
_F, _C = ("f", "cx", "cy"), ("fx", "fy", "cx", "cy")
_MODELS: dict[int, tuple[str, tuple[str, ...]]] = {
    0: ("SIMPLE_PINHOLE", _F),
    1: ("PINHOLE", _C),
    2: ("SIMPLE_RADIAL", (*_F, "k1")),
    3: ("RADIAL", (*_F, "k1", "k2")),
    4: ("OPENCV", (*_C, "k1", "k2", "p1", "p2")),
    5: ("OPENCV_FISHEYE", (*_C, "k1", "k2", "k3", "k4")),
    6: ("FULL_OPENCV", (*_C, "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")),
    7: ("FOV", (*_C, "omega")),
    8: ("SIMPLE_RADIAL_FISHEYE", (*_F, "k1")),
    9: ("RADIAL_FISHEYE", (*_F, "k1", "k2")),
    10: ("THIN_PRISM_FISHEYE", (*_C, "k1", "k2", "p1", "p2", "k3", "k4", "sx1", "sy1")),
}
_NUMBERS = {name: number for number, (name, _) in _MODELS.items()}
_NO_PINHOLE = (5, 7, 8, 9, 10)
_MOST = 10**6
_QUANTILES = (0.01, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Camera:
    size: tuple[int, int]
    intrinsics: Float[Tensor, "3 3"]
    distortion: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pose:
    name: str
    camera: int
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]


def read_colmap(folder: Path) -> Capture:
    """Read the cameras of a COLMAP model; image files stay unread.

    Raises:
        SceneError: a file is missing, cut short or malformed, a lens that is no pinhole, unusable
            poses.
    """
    model = find_model(folder)
    if model is None:
        raise SceneError(f"{shown(folder)}: holds no COLMAP model.")
    cameras_path, images_path = _file(model, "cameras"), _file(model, "images")
    cameras = dict(_guarded(cameras_path, _binary_cameras, _text_cameras))
    poses = list(_guarded(images_path, _binary_images, _text_images))
    if not poses:
        raise SceneError(f"{images_path}: holds no image.")
    poses.sort(key=lambda pose: natural_key(pose.name))
    root = photo_root(folder, model)
    place = photos_place(root, model)
    shots = [
        _shot(pose, cameras, images_path, root, place, rank) for rank, pose in enumerate(poses)
    ]
    validate_poses(shots, f"{images_path}: image")
    worst = max(corner_shift(c.intrinsics, c.size, c.distortion) for c in cameras.values())
    note = distortion_note(worst, sum(any(shot.distortion.values()) for shot in shots))
    near, far = _depths(model, shots)
    told = [f"{cameras_path}: {note}"] if note else []
    others = [str(place.name) for place in models_in(model.parent) if place != model]
    if model.name.isdecimal() and others:
        told.append(
            f"{model}: has {counted(len(shots), 'photo')}, and there are other models of this "
            f"capture beside it, which are not read: {', '.join(others[:8])}"
        )
    last = len(shots) - 1
    return Capture(
        name=root.resolve().name,
        shots=tuple(shots),
        inputs=tuple(sorted({0, last})),
        targets=tuple(range(1, last)),
        near=near,
        far=far,
        warnings=tuple(told),
    )


def _file(model: Path, stem: str) -> Path:
    for ending in ENDINGS:
        if (model / f"{stem}{ending}").is_file():
            return model / f"{stem}{ending}"
    raise SceneError(f"{model}: has no {stem}.bin or {stem}.txt.")


def _shot(
    pose: _Pose, cameras: dict[int, _Camera], path: Path, root: Path, place: str, rank: int
) -> Shot:
    where = f"{path}, image {shown(pose.name)!r}"
    if pose.camera not in cameras:
        raise SceneError(f"{where}: there is no camera {pose.camera}.")
    camera = cameras[pose.camera]
    name = pose.name if (root / pose.name).is_file() else f"{place}/{pose.name}"
    return Shot(
        where=where,
        file=find_photo(root, name, where).path,
        world_from_camera=opencv_world_from_camera(_matrix(pose, where), "opencv_w2c"),
        intrinsics=camera.intrinsics,
        normalised=False,
        image_size=camera.size,
        order=float(rank),
        distortion=camera.distortion,
    )


def _matrix(pose: _Pose, where: str) -> Float[Tensor, "4 4"]:
    q = np.array(pose.quaternion)
    norm = math.hypot(*pose.quaternion)  # infinity, not a warning, where it overflows
    if not math.isfinite(norm) or norm < 1e-9:
        raise SceneError(f"{where}: its quaternion {pose.quaternion} is no rotation.")
    w, x, y, z = q / norm
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ],
        dtype=torch.float64,
    )
    matrix[:3, 3] = torch.tensor(pose.translation, dtype=torch.float64)
    return matrix


def _depths(model: Path, shots: list[Shot]) -> tuple[float | None, float | None]:
    """Depths that hold almost all points, over all cameras that have them in front."""
    try:
        points = np.array(
            list(_guarded(_file(model, "points3D"), _binary_points, _text_points)), dtype=np.float64
        ).reshape(-1, 3)
    except SceneError:
        return None, None  # Points are no camera; a scene without them has no depth range.
    if len(points) < 10 or not np.isfinite(points).all():
        return None, None
    found = []
    for shot in shots[:: max(1, len(shots) // 20)]:
        pose = shot.world_from_camera.numpy()
        depth = (points - pose[:3, 3]) @ pose[:3, 2]
        found.append(depth[depth > 0])
    depths = np.concatenate(found)
    if len(depths) < 10:
        return None, None
    near, far = np.quantile(depths, _QUANTILES)
    return (float(near), float(far)) if 0 < near < far else (None, None)


def _camera(
    path: Path, key: int, model: int, size: tuple[int, int], values: list[float]
) -> _Camera:
    where = f"{path}, camera {key}"
    name, names = _MODELS[model]
    if model in _NO_PINHOLE:
        raise SceneError(
            f"{where}: the camera model {name} is not a pinhole camera.",
            hint="Run COLMAP's image_undistorter and use its output.",
        )
    if min(size) < 1 or max(size) > _MOST or not np.isfinite(values).all():
        raise SceneError(f"{where}: its size or parameters cannot be.")
    named = dict(zip(names, values, strict=True))
    fx, fy = (named.pop("f"),) * 2 if "f" in named else (named.pop("fx"), named.pop("fy"))
    k = [[fx, 0, named.pop("cx")], [0, fy, named.pop("cy")], [0, 0, 1]]
    intrinsics = torch.tensor(k, dtype=torch.float64)
    odd = [key for key, value in named.items() if value and key in ("k4", "k5", "k6")]
    if odd:
        raise SceneError(
            f"{where}: {name}'s {odd[0]} is not 0, which is not understood.",
            hint="Run COLMAP's image_undistorter and use its output.",
        )
    return _Camera(size=size, intrinsics=intrinsics, distortion=named)


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
            yield from text(path.read_text(encoding="utf-8-sig").splitlines(), path)
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


def _binary_cameras(file: BinaryIO, path: Path) -> Iterator[tuple[int, _Camera]]:
    for _ in range(_take(file, "Q")[0]):
        key, model, width, height = _take(file, "iiQQ")
        values = list(_take(file, f"{len(_MODELS[model][1])}d"))
        yield key, _camera(path, key, model, (height, width), values)


def _binary_images(file: BinaryIO, path: Path) -> Iterator[_Pose]:
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
        yield _Pose(
            name=name.decode("utf-8"), camera=row[8], quaternion=row[1:5], translation=row[5:8]
        )


def _binary_points(file: BinaryIO, path: Path) -> Iterator[tuple[float, ...]]:
    for _ in range(_take(file, "Q")[0]):
        row = _take(file, "Q3d3BdQ")
        yield row[1:4]
        if row[-1] * 8 > path.stat().st_size:
            raise ValueError("a point has more observations than the file holds")
        file.seek(row[-1] * 8, 1)


def _text_cameras(lines: list[str], path: Path) -> Iterator[tuple[int, _Camera]]:
    for line in lines:
        words = line.split()
        if words and not line.startswith("#"):
            key, size = int(words[0]), (int(words[3]), int(words[2]))
            values = [float(word) for word in words[4:]]
            yield key, _camera(path, key, _NUMBERS[words[1]], size, values)


def _text_images(lines: list[str], path: Path) -> Iterator[_Pose]:
    """Two lines an image; the second, of its points, may be empty."""
    rows = iter(line for line in lines if not line.startswith("#"))
    for line in rows:
        words = line.split(maxsplit=9)
        if not words:
            continue
        yield _Pose(
            name=words[9].strip(),
            camera=int(words[8]),
            quaternion=tuple(float(word) for word in words[1:5]),
            translation=tuple(float(word) for word in words[5:8]),
        )
        next(rows, None)


def _text_points(lines: list[str], path: Path) -> Iterator[tuple[float, ...]]:
    for line in lines:
        words = line.split()
        if words and not line.startswith("#"):
            yield tuple(float(word) for word in words[1:4])
