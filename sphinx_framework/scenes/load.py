"""Opening scenes of any format an installed plugin reads, and photos that have no cameras yet."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from sphinx_framework.errors import JobError, SceneError, SphinxError, raised, shown
from sphinx_framework.geometry.resize import fit_scene
from sphinx_framework.logs import get_logger
from sphinx_framework.printing import prints_to_stderr
from sphinx_framework.protocols import PoseEstimator, SceneReader
from sphinx_framework.registry import Registry
from sphinx_framework.registry.discovery import CORE, OURS
from sphinx_framework.scenes.asked import asked_size, check_options
from sphinx_framework.scenes.capture import Capture
from sphinx_framework.scenes.checks import check_range, checked
from sphinx_framework.scenes.formats import CaptureReader, built_in
from sphinx_framework.scenes.memory import check_memory, enough_memory
from sphinx_framework.scenes.poses import check_convention
from sphinx_framework.scenes.readers import read_scene, scene_path
from sphinx_framework.scenes.targets import check_count, choose_targets, parse_targets
from sphinx_framework.scenes.unposed import (
    photo_files,
    posed_scene,
    read_photo_stack,
    unposed_photos,
)
from sphinx_framework.scenes.video import is_video
from sphinx_framework.types import Scene
from sphinx_framework.types.arrays import as_number
from sphinx_framework.types.own_device import on_the_cpu
from sphinx_framework.witness import out_of_memory

# What photos are rendered along when no targets are named.
DEFAULT_PATH = "interpolate:23"


def load_scene(path: str | Path, *, registry: Registry | None = None, **options: Any) -> Scene:
    """Load a scene folder, or whatever a ``scene_reader`` plugin understands.

    Options are those of :func:`sphinx_framework.scenes.readers.read_scene`: ``size``, ``fit``,
    ``targets``, ``reader``, ``split``, ``near``, ``far``, ``convention``, ``max_pixels``. What its
    cameras say about each other is checked: see :mod:`.checks`.
    Raises :class:`~sphinx_framework.errors.SceneError` for everything wrong with the scene.
    """
    check_options(read_scene, options, own=("readers",))
    with on_the_cpu():
        readers = installed_readers(registry or Registry.from_entry_points())
        return checked(read_scene(path, readers=readers, **options))


def installed_readers(registry: Registry) -> list[SceneReader]:
    """The scene readers, each under its name; one is built when it is asked.

    The core's own come first, then those of this project: a reader that claims everything must not
    take their scenes. A registry of given components has the core's too.
    """
    specs = [spec for spec in registry.specs if spec.kind == "scene_reader"]
    origins = {s.name: registry.distribution_of(s).partition(" ")[0] for s in specs}
    names = sorted(origins, key=lambda name: (origins[name] != CORE, origins[name] not in OURS))
    installed: list[SceneReader] = [InstalledReader(name, registry) for name in names]
    discovered = any(plugin.distribution == CORE for plugin in registry.plugins)
    return installed if discovered else [*built_in(), *installed]


class InstalledReader:
    """A plugin's reader under the name by which ``--reader`` chooses it; its answers are checked.

    It is built at the first question, so that one that cannot be keeps no other from reading.
    """

    def __init__(self, name: str, registry: Registry) -> None:
        self.name, self._registry = name, registry

    @cached_property
    def _reader(self) -> SceneReader:
        defaults = self._registry.options("scene_reader", self.name, {}, "scene reader")
        reader: SceneReader = self._registry.build(
            "scene_reader", self.name, defaults, torch.device("cpu")
        )
        return reader

    def can_read(self, path: Path) -> bool:
        """Ask the plugin; one that fails cannot read the path, and a warning says so."""
        try:
            with prints_to_stderr():
                return bool(self._reader.can_read(path))
        except (Exception, SystemExit) as error:  # a plugin's code
            get_logger("scenes").warning("scene reader failed", reader=self.name, error=repr(error))
            return False

    def capture(self, path: Path, **options: Any) -> Capture | None:
        """All frames, where the plugin tells them; raises :class:`JobError` as :meth:`read`."""
        reader = self._reader
        if not isinstance(reader, CaptureReader):
            return None
        capture = self._answer(path, reader.capture, options)
        if capture is not None and not isinstance(capture, Capture):
            raise self._failed(path, f"answered with a {type(capture).__name__}, not a Capture")
        return capture

    def read(self, path: Path, **options: Any) -> Scene:
        """Let the plugin read; raises :class:`JobError` when it answers with no usable scene."""
        scene = self._answer(path, self._reader.read, options)
        if not isinstance(scene, Scene):
            raise self._failed(path, f"answered with a {type(scene).__name__}, not a Scene")
        try:
            scene.validate()
        except SceneError as error:
            raise self._failed(path, f"answered with a scene of which {error.message}") from None
        return scene

    def _answer(self, path: Path, ask: Callable[..., Any], options: dict[str, Any]) -> Any:
        try:
            with prints_to_stderr():
                return ask(path, **options)
        except SphinxError:
            raise
        except (Exception, SystemExit) as error:
            if out_of_memory(error):
                with enough_memory(shown(path)):
                    raise
            raise self._failed(path, f"raised {raised(error)}") from error

    def _failed(self, path: Path, what: str) -> JobError:
        spec = self._registry.find("scene_reader", self.name)
        origin = self._registry.distribution_of(spec)
        return JobError(
            f"{path}: scene reader {self.name!r} ({origin}) {what}",
            hint=f"Run: sphinx-nvs check {self.name} --kind scene_reader --sample {path}.",
            kind="component-raised",
            component=self.name,
            stage="scene",
        )


def is_claimed(path: str | Path, registry: Registry) -> bool:
    """Whether an installed reader knows the format of a path that could be a folder of photos.

    One that also claims what is not there claims everything, and is not believed.
    """
    place = scene_path(path)
    nowhere = place / "no-such-scene"
    return any(r.can_read(place) and not r.can_read(nowhere) for r in installed_readers(registry))


def is_unposed(path: str | Path) -> bool:
    """Whether a path is a folder of photos without any cameras, or a video."""
    place = scene_path(path)
    return is_video(place) or bool(photo_files(place))


def load_unposed(
    path: str | Path,
    estimator: PoseEstimator,
    *,
    size: tuple[int, int] | None = None,
    fit: str = "crop",
    targets: str | None = None,
    near: float | None = None,
    far: float | None = None,
    convention: str = "auto",
) -> Scene:
    """Estimate the cameras of a folder of photos, or of a video; all of them are inputs.

    Photos alone name no targets: without ``targets`` a path between the photos is rendered.
    convention: of the poses of a file of targets.
    Raises :class:`SceneError` as the estimator, and for photos that differ in size.
    """
    check_convention(convention)
    spec = parse_targets(DEFAULT_PATH if targets is None or targets == "split" else targets)
    if spec.kind == "indices":
        raise SceneError(
            f"targets {targets!r}: indices name frames of a posed capture, and the photos of "
            f"{shown(path)} have no cameras: all of them are inputs.",
            hint=f"Choose a path, e.g. {DEFAULT_PATH}, or name a .json file of poses.",
        )
    size, near, far = asked_size(size), as_number(near, "near"), as_number(far, "far")
    check_range(near, far)
    with unposed_photos(scene_path(path)) as files:
        if size is not None:
            check_memory(len(files) + spec.count, size)
        photos = read_photo_stack(files)
    scene = posed_scene(photos, estimator, scene_path(path).resolve().name)
    if near is not None:
        scene = replace(scene, near=near, far=far)
    photo_size = scene.inputs.image_size
    if size is not None and size != photo_size:
        with enough_memory(shown(path)):
            scene = fit_scene(scene, size, fit)
    scene = choose_targets(scene, spec, fit=fit, convention=convention, photo_size=photo_size)
    check_count(len(scene.targets))
    scene.validate()
    return checked(scene)
