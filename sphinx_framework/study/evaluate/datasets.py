"""Published evaluation sets: RealEstate10K and ACID chunks, DL3DV folders, evaluation indices.

A *chunk* (pixelSplat's format) is a ``.torch`` file with a list of scenes ``{key, timestamps [F],
cameras [F, 18], images: F encoded files}``; a camera is ``fx fy cx cy 0 0`` normalised by the image
size, then the 3x4 world-to-camera matrix, row by row, with OpenCV axes. ``index.json`` beside the
chunks maps scene to chunk. An *evaluation index* maps scene to ``{"context": [...], "target":
[...]}``, frame numbers, or to null where the scene is not used.

DL3DV scenes are nerfstudio folders (``transforms.json`` in the scene's folder or in ``nerfstudio/``
below it), of which often only scaled images (``images_4``) are on disk.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.resize import fit_images, fit_intrinsics
from sphinx_framework.scenes.capture import Capture, Shot, build_scene
from sphinx_framework.scenes.json_fields import check_indices, read_json_object
from sphinx_framework.scenes.poses import opencv_world_from_camera, to_4x4
from sphinx_framework.scenes.transforms import TRANSFORMS_FILE, read_transforms
from sphinx_framework.study.calibrate.samples import SceneSource
from sphinx_framework.types import Cameras, Scene

CHUNK_ENDING = ".torch"
CHUNK_INDEX = "index.json"
CAMERA_NUMBERS = 18
SCALED_FOLDERS = ("images_2", "images_4", "images_8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Frames of a scene to show (context) and to render (target)."""

    inputs: tuple[int, ...]
    targets: tuple[int, ...]


def read_index(path: Path) -> dict[str, Views]:
    """Read an evaluation index; scenes without views (null) are left out.

    Raises :class:`SceneError` that names the file, the scene and what is wrong.
    """
    fields = read_json_object(path)
    views: dict[str, Views] = {}
    for key, value in fields.values.items():
        if value is None:
            continue
        entry = fields.nested(key)
        views[key] = Views(
            inputs=entry.indices("context", 10**9), targets=entry.indices("target", 10**9)
        )
    if not views:
        raise SceneError(f"{path}: names no scene with views.")
    return views


def is_chunk_folder(folder: Path) -> bool:
    """Whether a folder holds ``.torch`` chunks."""
    return any(folder.glob(f"*{CHUNK_ENDING}"))


def chunk_scenes(
    folder: Path, index: Path, size: tuple[int, int] | None, fit: str
) -> list[SceneSource]:
    """Scenes of an evaluation index that the chunks of a folder hold, in the order of the chunks.

    Raises :class:`SceneError` when none of them is there.
    """
    views = read_index(index)
    chunks = _ChunkFolder(folder)
    where = chunks.chunk_of()
    found = sorted((key for key in views if key in where), key=lambda key: (where[key], key))
    if not found:
        raise SceneError(
            f"{folder}: holds none of the {len(views)} scenes of {index}.",
            hint="Give the folder of the split (often 'test') that the index was made for.",
        )
    return [
        (
            f"{folder.name}/{key}",
            partial(_chunk_scene, chunks, where[key], key, views[key], size=size, fit=fit),
        )
        for key in found
    ]


def folder_scene(
    folder: Path, views: Views | None, size: tuple[int, int] | None, fit: str
) -> Scene:
    """A scene of a ``transforms.json`` folder with the views of an index, from scaled images too.

    views: ``None`` leaves inputs and targets as the folder says.
    """
    place = transforms_folder(folder) or folder
    capture = replace(read_transforms(place), name=folder.name)
    shots = tuple(_with_scaled_image(shot) for shot in capture.shots)
    if views is not None:
        where = f"{folder.name} in the index"
        capture = Capture(
            name=capture.name,
            shots=shots,
            inputs=check_indices(views.inputs, len(shots), f"{where}, 'context'"),
            targets=check_indices(views.targets, len(shots), f"{where}, 'target'"),
            near=capture.near,
            far=capture.far,
            warnings=capture.warnings,
        )
    else:
        capture = replace(capture, shots=shots)
    scene = build_scene(capture, capture.targets, size, fit)
    scene.validate()
    return scene


def transforms_folder(folder: Path) -> Path | None:
    """The folder of a DL3DV scene that has ``transforms.json``: itself or ``nerfstudio``."""
    places = (folder, folder / "nerfstudio")
    return next((place for place in places if (place / TRANSFORMS_FILE).is_file()), None)


def _with_scaled_image(shot: Shot) -> Shot:
    """The same shot, with a scaled copy of its image where the original is not on disk."""
    if shot.file is None or shot.file.is_file() or shot.file.parent.name != "images":
        return shot
    for name in SCALED_FOLDERS:
        scaled = shot.file.parent.parent / name / shot.file.name
        if scaled.is_file():
            return replace(shot, file=scaled)
    return shot


class _ChunkFolder:
    """Reads chunks of about 100 MB each; the last one stays open for the scenes that follow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: tuple[str, dict[str, dict[str, Any]]] = ("", {})

    def chunk_of(self) -> dict[str, str]:
        """Chunk file by scene, from ``index.json`` or, without one, by reading all chunks."""
        listed = self.folder / CHUNK_INDEX
        if listed.is_file():
            fields = read_json_object(listed)
            return {key: fields.text(key) for key in fields.values}
        names = sorted(path.name for path in self.folder.glob(f"*{CHUNK_ENDING}"))
        return {key: name for name in names for key in self.scenes(name)}

    def scenes(self, name: str) -> dict[str, dict[str, Any]]:
        """Scenes of one chunk, by key."""
        if self._open[0] != name:
            path = self.folder / Path(name).name
            try:
                loaded = torch.load(path, weights_only=True, map_location="cpu")
                self._open = (name, {str(scene["key"]): scene for scene in loaded})
            except (OSError, EOFError) as error:
                raise SceneError(f"{path}: cannot be read: {error}.") from None
            except Exception as error:  # what unpickling raises depends on how a file is broken
                first = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise SceneError(
                    f"{path}: is no chunk of scenes: {first}.",
                    hint="A chunk is a list of {key, timestamps, cameras, images}.",
                ) from None
        return self._open[1]


def _chunk_scene(
    chunks: _ChunkFolder,
    chunk: str,
    key: str,
    views: Views,
    *,
    size: tuple[int, int] | None,
    fit: str,
) -> Scene:
    """Decode the chosen frames of one scene and convert its cameras."""
    where = f"{chunks.folder / chunk}, {key}"
    try:
        example = chunks.scenes(chunk)[key]
        cameras, encoded = example["cameras"], example["images"]
    except KeyError as error:
        raise SceneError(f"{where}: has no {error.args[0]!r}.") from None
    if cameras.ndim != 2 or cameras.shape[1] != CAMERA_NUMBERS or len(cameras) != len(encoded):
        raise SceneError(
            f"{where}: expected one camera of {CAMERA_NUMBERS} numbers per image, got "
            f"{tuple(cameras.shape)} for {len(encoded)} images."
        )
    inputs = check_indices(views.inputs, len(encoded), f"{where}, 'context'")
    targets = check_indices(views.targets, len(encoded), f"{where}, 'target'")
    shown = [_decoded(encoded[i], f"{where}, image {i}") for i in inputs]
    truth = [_decoded(encoded[i], f"{where}, image {i}") for i in targets]
    native = (int(shown[0].shape[1]), int(shown[0].shape[2])) if shown else (1, 1)
    if any(tuple(image.shape[1:]) != native for image in (*shown, *truth)):
        raise SceneError(f"{where}: its images differ in size.")
    canvas = size or native
    scene = Scene(
        images=fit_images(torch.stack(shown), canvas, fit) if shown else torch.zeros(0, 3, 1, 1),
        inputs=_chunk_cameras(cameras, inputs, native, canvas, fit),
        targets=_chunk_cameras(cameras, targets, native, canvas, fit),
        name=key,
        target_images=fit_images(torch.stack(truth), canvas, fit) if truth else None,
        order=tuple(float(i) for i in (*inputs, *targets)),
    )
    scene.validate()
    return scene


def _decoded(data: Tensor, where: str) -> Float[Tensor, "3 H W"]:
    try:
        with Image.open(io.BytesIO(data.numpy().tobytes())) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    except (OSError, ValueError, AttributeError) as error:
        raise SceneError(f"{where}: cannot be decoded: {error}.") from None
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _chunk_cameras(
    numbers: Float[Tensor, "F 18"],
    chosen: Sequence[int],
    native: tuple[int, int],
    canvas: tuple[int, int],
    fit: str,
) -> Cameras:
    """World-from-camera poses, and intrinsics in pixels of the fitted image."""
    rows = numbers[list(chosen)].double()
    intrinsics = torch.zeros(len(rows), 3, 3, dtype=torch.float64)
    height, width = native
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = rows[:, 0] * width, rows[:, 1] * height
    intrinsics[:, 0, 2], intrinsics[:, 1, 2] = rows[:, 2] * width, rows[:, 3] * height
    intrinsics[:, 2, 2] = 1
    poses = [
        opencv_world_from_camera(to_4x4(row[6:].reshape(3, 4), "a chunk's camera"), "opencv_w2c")
        for row in rows
    ]
    return Cameras(
        world_from_camera=torch.stack(poses).float() if poses else torch.zeros(0, 4, 4),
        intrinsics=fit_intrinsics(intrinsics, native, canvas, fit).float(),
        image_size=canvas,
    )
