"""Reader of COLMAP models, binary and text: ``sparse/0`` and the photos beside it.

Poses are OpenCV world-to-camera, a quaternion (w, x, y, z) and a translation; principal points
count from the corner of the image, as ours do. In the order of the photos' names, the first and
the last are inputs and everything between them is a target. Near and far come from ``points3D``.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.capture import Capture, Shot, validate_poses
from sphinx_framework.scenes.colmap_cameras import Camera, usable_camera
from sphinx_framework.scenes.colmap_files import (
    ImageRow,
    model_file,
    read_cameras,
    read_images,
    read_points,
)
from sphinx_framework.scenes.colmap_places import find_model, models_in, photo_root, photos_place
from sphinx_framework.scenes.doubled import doubled_photo
from sphinx_framework.scenes.files import find_photo, natural_key
from sphinx_framework.scenes.poses import opencv_world_from_camera
from sphinx_framework.texts import counted

_QUANTILES = (0.01, 0.99)


def read_colmap(folder: Path) -> Capture:
    """Read the cameras of a COLMAP model; image files stay unread.

    Raises:
        SceneError: a file is missing, cut short or malformed, a lens that is no pinhole, unusable
            poses.
    """
    model = find_model(folder)
    if model is None:
        raise SceneError(f"{shown(folder)}: holds no COLMAP model.")
    cameras_path, images_path = model_file(model, "cameras"), model_file(model, "images")
    raw = read_cameras(cameras_path)
    poses = read_images(images_path)
    if not poses:
        raise SceneError(f"{images_path}: holds no image.")
    used = {pose.camera for pose in poses}
    cameras = {
        key: usable_camera(camera, f"{cameras_path}, camera {key}")
        for key, camera in raw.items()
        if key in used
    }
    poses.sort(key=lambda pose: natural_key(pose.name))
    root = photo_root(folder, model)
    place = photos_place(root, model)
    shots = [
        _shot(pose, cameras, images_path, root, place, rank) for rank, pose in enumerate(poses)
    ]
    validate_poses(shots, f"{images_path}: image")
    told = [*_beside(shots, root, place), *filter(None, [doubled_photo(shots)])]
    points, unread = _points(model)
    near, far = _depths(points, shots)
    told += [unread] if unread else []
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


def _shot(
    pose: ImageRow, cameras: Mapping[int, Camera], path: Path, root: Path, place: str, rank: int
) -> Shot:
    where = f"{path}, image {shown(pose.name)!r}"
    if pose.camera not in cameras:
        raise SceneError(f"{where}: there is no camera {pose.camera}.")
    camera = cameras[pose.camera]
    return Shot(
        where=where,
        file=_photo(pose.name, root, place, where),
        world_from_camera=opencv_world_from_camera(_matrix(pose, where), "opencv_w2c"),
        intrinsics=camera.intrinsics,
        normalised=False,
        image_size=camera.size,
        order=float(rank),
        distortion=camera.distortion,
    )


def _photo(name: str, root: Path, place: str, where: str) -> Path:
    """The photo of a name, which counts from the folder of photos; some tools name it too.

    What lies in the root beside such a folder is often the same photo with its distortion.
    """
    file = find_photo(root, f"{place}/{name}", where).path
    if not file.is_file() and (root / name).is_file():
        return find_photo(root, name, where).path
    return file


def _beside(shots: Sequence[Shot], root: Path, place: str) -> list[str]:
    """What is said of photos that lie beside the folder of photos, not in it."""
    beside = [
        shot.file for shot in shots if isinstance(shot.file, Path) and shot.file.parent == root
    ]
    if not beside or not (root / place).is_dir():
        return []
    return [
        f"{beside[0]}: is not in {place!r}, so that the one in the folder above it is used "
        f"({counted(len(beside), 'photo')}); has it the lens of the model?"
    ]


def _matrix(pose: ImageRow, where: str) -> Float[Tensor, "4 4"]:
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


def _points(model: Path) -> tuple[Float[np.ndarray, "P 3"], str]:
    """The points of a model, and what is said where they are there and cannot be used.

    Points are no camera: a scene without them has no depth range, and is a scene.
    """
    none, unknown = np.zeros((0, 3)), "near and far are not known from it"
    try:
        path = model_file(model, "points3D")
    except SceneError:
        return none, ""
    try:
        points = np.array(read_points(path), dtype=np.float64).reshape(-1, 3)
    except SceneError as error:
        return none, f"{error.message.rstrip('.')}; {unknown}"
    if not np.isfinite(points).all():
        return none, f"{path}: holds NaN or infinity; {unknown}"
    return points, ""


def _depths(
    points: Float[np.ndarray, "P 3"], shots: Sequence[Shot]
) -> tuple[float | None, float | None]:
    """Depths that hold almost all points, over all cameras that have them in front."""
    if len(points) < 10:
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
