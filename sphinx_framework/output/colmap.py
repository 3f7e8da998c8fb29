"""Inputs and results as a COLMAP model: what gsplat's trainer and most 3DGS code read.

``images/``, ``sparse/0/*.bin`` and the same as text in ``text/*.txt``. Poses are OpenCV
world-to-camera; principal points count from the corner of the image, as ours do. Every picture has
a PINHOLE camera of its own, so that differing intrinsics survive.
"""

import struct
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.engine.result import RenderResult
from sphinx_framework.geometry.rotations import matrices_from_quaternions, quaternions_from_matrices
from sphinx_framework.output.training_set import (
    Points,
    picture_names,
    scene_points,
    training_cameras,
    write_pictures,
)
from sphinx_framework.types import Cameras

_PINHOLE = 1


def write_colmap(folder: Path, result: RenderResult) -> None:
    """Write pictures, cameras and points into a new folder."""
    write_pictures(folder / "images", result)
    cameras, names = training_cameras(result), picture_names(result)
    points = scene_points(result)
    write_binary(folder / "sparse" / "0", cameras, names, points)
    write_text(folder / "text", cameras, names, points)


def write_binary(folder: Path, cameras: Cameras, names: list[str], points: Points | None) -> None:
    """Write ``cameras.bin``, ``images.bin`` and ``points3D.bin`` into a new folder."""
    folder.mkdir(parents=True)
    height, width = cameras.image_size
    count = struct.pack("<Q", len(names))
    lenses = [
        struct.pack("<iiQQ4d", index + 1, _PINHOLE, width, height, *values)
        for index, values in enumerate(_lenses(cameras))
    ]
    poses = [
        struct.pack("<I7dI", index + 1, *values, index + 1) + name.encode() + b"\0" + bytes(8)
        for index, (values, name) in enumerate(zip(_poses(cameras), names, strict=True))
    ]
    places, colours = _arrays(points)
    rows = np.zeros(
        len(places),
        np.dtype([("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("e", "<f8"), ("n", "<u8")]),
    )
    rows["id"], rows["xyz"], rows["rgb"] = np.arange(1, len(places) + 1), places, colours
    (folder / "cameras.bin").write_bytes(count + b"".join(lenses))
    (folder / "images.bin").write_bytes(count + b"".join(poses))
    (folder / "points3D.bin").write_bytes(struct.pack("<Q", len(rows)) + rows.tobytes())


def write_text(folder: Path, cameras: Cameras, names: list[str], points: Points | None) -> None:
    """Write ``cameras.txt``, ``images.txt`` and ``points3D.txt`` into a new folder."""
    folder.mkdir(parents=True)
    height, width = cameras.image_size
    lenses = [
        f"{index + 1} PINHOLE {width} {height} {_joined(values)}"
        for index, values in enumerate(_lenses(cameras))
    ]
    poses = [  # An image's second line, of its points, is empty.
        f"{index + 1} {_joined(values)} {index + 1} {name}\n"
        for index, (values, name) in enumerate(zip(_poses(cameras), names, strict=True))
    ]
    places, colours = _arrays(points)
    rows = [
        f"{index + 1} {_joined(place)} {red} {green} {blue} 0"
        for index, (place, (red, green, blue)) in enumerate(
            zip(places.tolist(), colours.tolist(), strict=True)
        )
    ]
    _lines(folder / "cameras.txt", "CAMERA_ID, MODEL, WIDTH, HEIGHT, fx, fy, cx, cy", lenses)
    _lines(folder / "images.txt", "IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME", poses)
    _lines(folder / "points3D.txt", "POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[]", rows)


def _lenses(cameras: Cameras) -> list[tuple[float, float, float, float]]:
    return [
        (float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2])) for k in cameras.intrinsics
    ]


def _poses(cameras: Cameras) -> list[list[float]]:
    """Quaternion (w, x, y, z) and translation, world to camera.

    The translation is of the rotation as it is written: far from the origin, the last digits of a
    single-precision matrix move a camera.
    """
    poses = cameras.world_from_camera.double()
    turned = quaternions_from_matrices(poses[:, :3, :3].transpose(1, 2))
    turned = turned / turned.norm(dim=1, keepdim=True)
    shifts = -matrices_from_quaternions(turned) @ poses[:, :3, 3:]
    rows: list[list[float]] = torch.cat([turned, shifts[:, :, 0]], dim=1).tolist()
    return rows


def _arrays(points: Points | None) -> tuple[Float[np.ndarray, "P 3"], np.ndarray]:
    if points is None:
        return np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    return points.places.double().numpy(), _bytes(points.colours)


def _bytes(colours: Float[Tensor, "P 3"]) -> np.ndarray:
    return (colours.clamp(0, 1) * 255).round().numpy().astype(np.uint8)


def _joined(values: list[float] | tuple[float, ...]) -> str:
    return " ".join(map(repr, values))


def _lines(path: Path, head: str, lines: list[str]) -> None:
    path.write_text("\n".join([f"# {head}", *lines]) + "\n", encoding="utf-8")
