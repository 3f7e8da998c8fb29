"""Opening scenes of any format an installed plugin reads, and photos that have no cameras yet."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.resize import fit_scene
from sphinx_framework.protocols import PoseEstimator, SceneReader
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.checks import checked
from sphinx_framework.scenes.readers import check_range, read_scene
from sphinx_framework.scenes.targets import check_count, choose_targets, parse_targets
from sphinx_framework.scenes.unposed import photo_files, posed_scene, read_photo_stack
from sphinx_framework.types import Scene


def load_scene(path: str | Path, *, registry: Registry | None = None, **options: Any) -> Scene:
    """Load a scene folder, or whatever a ``scene_reader`` plugin understands.

    Options are those of :func:`sphinx_framework.scenes.readers.read_scene`: ``size``, ``fit``,
    ``targets``, ``reader``, ``split``, ``near``, ``far``, ``convention``, ``max_pixels``. What its
    cameras say about each other is checked: see :mod:`.checks`.
    Raises :class:`~sphinx_framework.errors.SceneError` for everything wrong with the scene.
    """
    readers = installed_readers(registry or Registry.from_entry_points())
    return checked(read_scene(path, extra_readers=readers, **options))


def installed_readers(registry: Registry) -> list[SceneReader]:
    """The ``scene_reader`` plugins, each under its name."""
    found: list[SceneReader] = []
    for name in registry.names("scene_reader"):
        defaults = registry.options("scene_reader", name, {}, "scene reader")
        reader = registry.build("scene_reader", name, defaults, torch.device("cpu"))
        found.append(NamedReader(name, reader))
    return found


class NamedReader:
    """A plugin's reader with the name by which ``--reader`` chooses it."""

    def __init__(self, name: str, reader: SceneReader) -> None:
        self.name, self._reader = name, reader

    def can_read(self, path: Path) -> bool:
        """Ask the plugin."""
        return self._reader.can_read(path)

    def read(self, path: Path, **options: Any) -> Scene:
        """Let the plugin read."""
        return self._reader.read(path, **options)


def is_unposed(path: str | Path) -> bool:
    """Whether a path is a folder of photos without any cameras."""
    return bool(photo_files(Path(path).expanduser()))


def load_unposed(
    path: str | Path,
    estimator: PoseEstimator,
    *,
    size: tuple[int, int] | None = None,
    fit: str = "crop",
    targets: str | None = None,
    near: float | None = None,
    far: float | None = None,
) -> Scene:
    """Estimate the cameras of a folder of photos; all of them are inputs.

    Raises :class:`SceneError` when no path of targets is given: photos alone name none.
    """
    if targets is None or targets == "split":
        raise SceneError(
            f"{path}: has photos only, so it names no targets.",
            hint="Choose a camera path, for example --targets interpolate:23.",
        )
    spec = parse_targets(targets)
    check_range(near, far)
    images = read_photo_stack(photo_files(Path(path).expanduser()))
    scene = posed_scene(images, estimator.estimate_poses(images), Path(path).name)
    if near is not None:
        scene = replace(scene, near=near, far=far)
    if size is not None and size != tuple(images.shape[-2:]):
        scene = fit_scene(scene, size, fit)
    scene = choose_targets(scene, spec, fit=fit, convention="auto")
    check_count(len(scene.targets))
    scene.validate()
    return checked(scene)
