"""Published evaluation sets: RealEstate10K and ACID chunks, DL3DV folders, evaluation indices.

Chunks and indices are described in :mod:`sphinx_framework.scenes.chunks`.

DL3DV scenes are nerfstudio folders (``transforms.json`` in the scene's folder or in ``nerfstudio/``
below it), of which often only scaled images (``images_4``) are on disk.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.build import build_scene
from sphinx_framework.scenes.capture import Shot
from sphinx_framework.scenes.chunks import (
    ChunkFolder,
    Views,
    chunk_capture,
    read_index,
    with_views,
)
from sphinx_framework.scenes.transforms import TRANSFORMS_FILE, read_transforms
from sphinx_framework.study.calibrate.samples import SceneSource
from sphinx_framework.types import Scene

SCALED_FOLDERS = ("images_2", "images_4", "images_8")


def chunk_scenes(
    folder: Path, index: Path, size: tuple[int, int] | None, fit: str
) -> list[SceneSource]:
    """Scenes of an evaluation index that the chunks of a folder hold, in the order of the chunks.

    Raises :class:`SceneError` when none of them is there.
    """
    views = read_index(index)
    chunks = ChunkFolder(folder)
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
        capture = with_views(replace(capture, shots=shots), views, f"{folder.name} in the index")
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
    if not isinstance(shot.file, Path):
        return shot
    if shot.file.is_file() or shot.file.parent.name != "images":
        return shot
    for name in SCALED_FOLDERS:
        scaled = shot.file.parent.parent / name / shot.file.name
        if scaled.is_file():
            return replace(shot, file=scaled)
    return shot


def _chunk_scene(
    chunks: ChunkFolder,
    chunk: str,
    key: str,
    views: Views,
    *,
    size: tuple[int, int] | None,
    fit: str,
) -> Scene:
    """Decode the chosen frames of one scene and convert its cameras."""
    capture = replace(chunk_capture(chunks, chunk, key), name=key)
    capture = with_views(capture, views, f"{chunks.folder / chunk}, {key}")
    scene = build_scene(capture, capture.targets, size, fit)
    scene.validate()
    return scene
