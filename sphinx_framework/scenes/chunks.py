"""Reader of RealEstate10K and ACID chunks (pixelSplat's format): many videos in ``.torch`` files.

A chunk is a list of scenes ``{key, timestamps [F], cameras [F, 18], images: F encoded files}``; a
camera is ``fx fy cx cy 0 0`` normalised by the image size, then the 3x4 world-to-camera matrix, row
by row, with OpenCV axes. ``index.json`` beside the chunks maps scene to chunk. Chunks are loaded
with ``weights_only=True``: what they hold cannot run.

``FILE.torch:KEY`` or ``FOLDER:KEY`` names a scene; the key may be left out where there is just one.
The first and the last frame are inputs and everything between them is a target, unless an
*evaluation index* says otherwise: ``{key: {"context": [...], "target": [...]}}``, or null where a
scene is not used.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from sphinx_framework.errors import SceneError, shown, suggestion
from sphinx_framework.scenes.capture import Capture, Shot, matrix_of, validate_poses
from sphinx_framework.scenes.images import PackedPhoto
from sphinx_framework.scenes.intrinsics import Pinhole
from sphinx_framework.scenes.json_fields import check_indices, read_json_object
from sphinx_framework.scenes.poses import opencv_world_from_camera, to_4x4
from sphinx_framework.texts import counted

CHUNK_ENDING = ".torch"
CHUNK_INDEX = "index.json"
CAMERA_NUMBERS = 18
_MOST_NAMED = 6


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


def named_chunk(path: Path) -> tuple[Path, str] | None:
    """The chunk, or the folder of chunks, that a path names, and the key ("" where none is)."""
    if _holds_scenes(path):
        return path, ""
    parts = str(path).split(":")
    for end in reversed(range(1, len(parts))):  # a folder's name may hold a colon, a key too
        place = ":".join(parts[:end])
        if place and _holds_scenes(Path(place)):
            return Path(place), ":".join(parts[end:])
    return None


def _holds_scenes(path: Path) -> bool:
    try:
        if path.is_dir():
            return is_chunk_folder(path)
        return path.suffix == CHUNK_ENDING and path.is_file()
    except (OSError, ValueError):
        return False


def read_chunk(path: Path, *, index: Path | None = None) -> Capture:
    """Read all cameras of one scene of a chunk; its images stay encoded.

    index: an evaluation index that names inputs and targets.

    Raises:
        SceneError: no such scene, several and none named, a damaged chunk, cameras that cannot be.
    """
    named = named_chunk(path)
    if named is None:
        raise SceneError(f"{shown(path)}: holds no {CHUNK_ENDING} chunks.")
    place, key = named
    chunks = ChunkFolder(place if place.is_dir() else place.parent)
    where = chunks.chunk_of() if place.is_dir() else dict.fromkeys(chunks.scenes(place.name))
    keys = sorted(where)
    if not key and len(keys) == 1:
        key = keys[0]
    if key not in where:
        some = ", ".join(keys[:_MOST_NAMED]) + (", ..." if keys[_MOST_NAMED:] else "")
        told = (
            f"has no scene {key!r}"
            if key
            else f"holds {counted(len(keys), 'scene')}; which one is not said"
        )
        raise SceneError(
            f"{shown(place)}: {told}.",
            hint=f"{suggestion(key, keys)}Name one as {shown(place)}:KEY, of: {some or 'none'}; "
            "a study takes several by --index.",
        )
    capture = chunk_capture(chunks, where[key] or place.name, key)
    if index is None:
        return capture
    views = read_index(index)
    if key not in views:
        raise SceneError(f"{index}: says nothing of the scene {key!r}.")
    return with_views(capture, views[key], f"{index}, {key!r}")


def with_views(capture: Capture, views: Views, where: str) -> Capture:
    """The same frames with the inputs and targets of an evaluation index."""
    count = len(capture.shots)
    return replace(
        capture,
        inputs=check_indices(views.inputs, count, f"{where}, 'context'"),
        targets=check_indices(views.targets, count, f"{where}, 'target'"),
    )


class ChunkFolder:
    """Reads chunks of about 100 MB each; the last one stays open for the scenes that follow."""

    def __init__(self, folder: Path) -> None:
        """Open nothing yet."""
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
                loaded = [loaded] if isinstance(loaded, dict) and "cameras" in loaded else loaded
                self._open = (name, {str(scene["key"]): scene for scene in loaded})
            except (OSError, EOFError) as error:
                told = str(error) or "it is empty or ends too early"
                raise SceneError(f"{path}: cannot be read: {told}.") from None
            except UnpicklingError:
                raise SceneError(
                    f"{path}: is no chunk of scenes, or holds objects that could run code, which "
                    "are never loaded.",
                    hint="A chunk is a list of {key, timestamps, cameras, images}: tensors, texts "
                    "and numbers.",
                ) from None
            except Exception as error:  # what unpickling raises depends on how a file is broken
                first = (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
                raise SceneError(
                    f"{path}: is no chunk of scenes: {first}.",
                    hint="A chunk is a list of {key, timestamps, cameras, images}.",
                ) from None
        return self._open[1]


def chunk_capture(chunks: ChunkFolder, chunk: str, key: str) -> Capture:
    """All frames of one scene, first and last as inputs; raises :class:`SceneError`."""
    where = f"{chunks.folder / chunk}, {key}"
    try:
        example = chunks.scenes(chunk)[key]
        cameras, encoded = example["cameras"], example["images"]
    except KeyError as error:
        raise SceneError(f"{where}: has no {error.args[0]!r}.") from None
    if not isinstance(cameras, torch.Tensor) or not isinstance(encoded, list | tuple):
        raise SceneError(f"{where}: 'cameras' must be a tensor, and 'images' a list of tensors.")
    if cameras.layout != torch.strided or cameras.is_complex():
        raise SceneError(f"{where}: 'cameras' must be a dense tensor of real numbers.")
    if cameras.ndim != 2 or cameras.shape[1] != CAMERA_NUMBERS or len(cameras) != len(encoded):
        raise SceneError(
            f"{where}: expected one camera of {CAMERA_NUMBERS} numbers per image, got "
            f"{tuple(cameras.shape)} for {len(encoded)} images."
        )
    if not len(cameras):
        raise SceneError(f"{where}: holds no frame.")
    rows = cameras.double()
    shots = tuple(
        _shot(f"{where}, image {i}", row, image, i)
        for i, (row, image) in enumerate(zip(rows, encoded, strict=True))
    )
    validate_poses(shots, f"{where}: image")
    last = len(shots) - 1
    return Capture(
        name=re.sub(r"[^\w.-]", "_", key),
        shots=shots,
        inputs=tuple(sorted({0, last})),
        targets=tuple(range(1, last)),
    )


def _shot(where: str, row: torch.Tensor, image: Any, index: int) -> Shot:
    if not bool(torch.isfinite(row).all()):
        raise SceneError(f"{where}: its camera holds NaN or infinity.")
    dense = isinstance(image, torch.Tensor) and image.layout == torch.strided
    if not dense or image.dtype != torch.uint8:
        raise SceneError(f"{where}: must be a tensor of bytes.")
    fx, fy, cx, cy = row[:4].tolist()
    matrix = to_4x4(row[6:].reshape(3, 4), where)
    data = image.numpy().tobytes()
    ending = ".png" if data.startswith(b"\x89PNG") else ".jpg"
    return Shot(
        where=where,
        file=PackedPhoto(where=where, name=f"{index:06d}{ending}", data=data),
        world_from_camera=opencv_world_from_camera(matrix, "opencv_w2c"),
        intrinsics=matrix_of(Pinhole(fx, fy, cx, cy)),
        normalised=True,
        image_size=None,
        order=float(index),
    )
