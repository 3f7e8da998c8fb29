"""Opening scenes of any format an installed plugin reads."""

from pathlib import Path
from typing import Any

import torch

from sphinx_framework.io.scenes import load_scene as load_folder_or_read
from sphinx_framework.registry import Registry
from sphinx_framework.types import Scene


def load_scene(path: str | Path, *, registry: Registry | None = None, **options: Any) -> Scene:
    """Load a scene folder, or whatever a ``scene_reader`` plugin understands.

    Options are those of :func:`sphinx_framework.io.scenes.load_scene`: ``size``, ``fit``,
    ``targets``, ``reader``, ``split``, ``near``, ``far``, ``convention``.
    Raises :class:`~sphinx_framework.errors.SceneError` for everything wrong with the scene.
    """
    readers: list[Any] = []
    if not Path(path).expanduser().exists():
        registry = registry or Registry.from_entry_points()
        for name in registry.names("scene_reader"):
            defaults = registry.options("scene_reader", name, {}, "scene reader")
            readers.append(registry.build("scene_reader", name, defaults, torch.device("cpu")))
    return load_folder_or_read(path, extra_readers=readers, **options)
