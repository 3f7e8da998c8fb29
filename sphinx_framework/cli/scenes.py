"""Naming many scenes on the command line."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sphinx_framework.config import PipelineConfig
from sphinx_framework.errors import ConfigError, SceneError
from sphinx_framework.protocols import SceneReader
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.chunks import is_chunk_folder, read_index
from sphinx_framework.scenes.files import is_hidden
from sphinx_framework.scenes.load import installed_readers, load_scene
from sphinx_framework.scenes.readers import choose_reader, scene_path
from sphinx_framework.study.calibrate.samples import SceneSource
from sphinx_framework.study.evaluate.datasets import (
    chunk_scenes,
    folder_scene,
    transforms_folder,
)
from sphinx_framework.types import Scene

RANGE = re.compile(r"^([a-z0-9_-]+:.*/)(\d+)-(\d+)$")
MOST_SCENES = 100_000
# Files and folders that mark a scene of a built-in reader.
MARKS = (
    "transforms.json",
    "transforms_train.json",
    "cameras.json",
    "poses_bounds.npy",
    "sparse",
    "colmap",
    "nerfstudio",
)


def scene_sources(
    given: Sequence[str], index: str | None, config: PipelineConfig, registry: Registry
) -> list[SceneSource]:
    """Every scene that is named, with a call that loads it at the pipeline's size.

    Raises :class:`ConfigError` or :class:`SceneError` when a name leads to no scene.
    """
    sources: list[SceneSource] = []
    if index is None:
        names = scene_names(given, registry)
        readers = installed_readers(registry)
        for name in names:  # a scene that is none must not be found behind hours of others
            choose_reader(scene_path(name), None, readers)
        sources += [(name, partial(_load, name, config, registry)) for name in names]
    else:
        sources += [s for name in given for s in _indexed(Path(name), Path(index), config)]
    sources = [(name, partial(_named, name, load)) for name, load in sources]
    name, count = Counter(name for name, _ in sources).most_common(1)[0]
    if count > 1:
        raise ConfigError(f"scene {name} is named twice.", hint="Name every scene once.")
    return sources


def _named(name: str, load: Callable[[], Scene]) -> Scene:
    """Load one scene of many: what is wrong with it says which one it is."""
    try:
        return load()
    except SceneError as error:
        if "--targets" in error.hint:  # no option of a study
            error.hint = "Leave that scene out."
        if name not in error.message:
            error.told_by(name)
        raise


def scene_names(
    given: Sequence[str], registry: Registry, also: Callable[[Path], bool] = lambda folder: False
) -> list[str]:
    """Expand ``procedural:report/0-39`` and folders of scene folders; keep everything else.

    also: what else is a scene, besides folders with the mark of one.
    Raises :class:`ConfigError` for an empty range, :class:`SceneError` for a folder without scenes.
    """
    names: list[str] = []
    readers = installed_readers(registry)
    for name in given:
        counted = RANGE.match(name)
        folder = scene_path(name)
        if counted and not folder.exists():
            first, last = int(counted[2]), int(counted[3])
            if last < first:
                raise ConfigError(f"--scenes {name}: the range is empty.")
            if last - first >= MOST_SCENES:
                raise ConfigError(
                    f"--scenes {name}: {last - first + 1} scenes are more than {MOST_SCENES}."
                )
            names += [f"{counted[1]}{i}" for i in range(first, last + 1)]
        elif not folder.is_dir() or is_scene_folder(folder, readers) or also(folder):
            names.append(name)
        elif is_chunk_folder(folder):
            raise ConfigError(
                f"{name}: .torch chunks hold whole videos; which frames to use is not said.",
                hint="Add --index with an evaluation index, such as evaluation_index_re10k.json.",
            )
        else:
            inner = [
                p
                for p in sorted(folder.iterdir())
                if p.is_dir() and (is_scene_folder(p, readers) or (also(p) and not is_hidden(p)))
            ]
            if not inner:
                raise SceneError(
                    f"{name}: is no scene, and holds no folder that is one.",
                    hint=f"A scene folder has one of: {', '.join(MARKS)}.",
                )
            names += [str(path) for path in inner]
    return names


def is_scene_folder(folder: Path, readers: Sequence[SceneReader]) -> bool:
    """Whether a folder bears the mark of a scene, or a reader takes it."""
    marked = any((folder / mark).exists() for mark in MARKS)
    return marked or any(reader.can_read(folder) for reader in readers)


def _load(name: str, config: PipelineConfig, registry: Registry) -> Scene:
    folder = scene_path(name)
    place = transforms_folder(folder) if folder.is_dir() else None
    if place is not None and not (place / "images").exists() and any(place.glob("images_*")):
        return folder_scene(folder, None, config.size, config.fit)
    return load_scene(name, registry=registry, size=config.size, fit=config.fit)


def _indexed(folder: Path, index: Path, config: PipelineConfig) -> list[SceneSource]:
    """Scenes of an evaluation index, in chunks or in scene folders."""
    folder = folder.expanduser()
    if not folder.is_dir():
        raise SceneError(f"{folder}: no such folder.")
    if is_chunk_folder(folder):
        return chunk_scenes(folder, index, config.size, config.fit)
    views = read_index(index)
    found = [key for key in views if transforms_folder(folder / key) is not None]
    if not found:
        raise SceneError(
            f"{folder}: holds no chunks and none of the {len(views)} scene folders of {index}.",
            hint="Give the folder that the index was made for.",
        )
    return [
        (
            str(folder / key),
            partial(folder_scene, folder / key, views[key], config.size, config.fit),
        )
        for key in found
    ]
