"""Opening a kept or generated scene, the same way in the server and in its workers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sphinx_framework.config import PipelineConfig
from sphinx_framework.errors import SceneError
from sphinx_framework.protocols import PoseEstimator
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.images import Photo, read_header
from sphinx_framework.scenes.load import installed_readers, load_scene, load_unposed
from sphinx_framework.scenes.readers import read_capture
from sphinx_framework.scenes.targets import parse_targets
from sphinx_framework.scenes.unposed import photo_files
from sphinx_framework.types import Cameras, Scene


@dataclass(frozen=True, slots=True)
class Extent:
    """What a scene would take; ``pixels`` counts a photo as often as it is used."""

    inputs: int
    targets: int
    pixels: int


def scene_extent(path: str, registry: Registry, **options: Any) -> Extent:
    """The extent of a scene by its cameras and the headers of its photos: none is decoded.

    What is not known before the scene is opened counts as nothing. Raises :class:`SceneError`.
    """
    spec = parse_targets(options["targets"])
    asked = {name: options[name] for name in ("split", "convention")}
    with _hidden_paths(path, options):
        capture = read_capture(path, readers=installed_readers(registry), **asked)
    if capture is None:
        return Extent(0, max(spec.count, len(spec.indices)), 0)
    targets = capture.targets if spec.kind == "split" else spec.indices
    shots = [capture.shots[i] for i in (*capture.inputs, *targets) if i < len(capture.shots)]
    sizes: dict[Photo, int] = {}
    for file in (shot.file for shot in shots):
        if file is not None and file not in sizes:
            sizes[file] = _pixels(file)
    pixels = sum(sizes[shot.file] for shot in shots if shot.file is not None)
    return Extent(len(capture.inputs), spec.count or len(targets), pixels)


def _pixels(file: Photo) -> int:
    """None of what cannot be read: opening the scene says what is wrong with it."""
    try:
        height, width = read_header(file).size
    except SceneError:
        return 0
    return height * width


def open_scene(
    path: str,
    registry: Registry,
    config: PipelineConfig,
    estimator: PoseEstimator | None = None,
    **options: Any,
) -> Scene:
    """Load a scene as ``render`` does; errors name files of the scene, never the server's paths.

    options: ``targets`` (a specification, or the path of a pose file of the server's own),
    ``split`` and ``convention``. estimator: gives cameras to photos that have none.
    Raises :class:`SceneError`.
    """
    with _hidden_paths(path, options):
        if estimator is not None and photo_files(Path(path)):
            return load_unposed(
                path, estimator, size=config.size, fit=config.fit, targets=options["targets"]
            )
        return load_scene(path, registry=registry, size=config.size, fit=config.fit, **options)


@contextmanager
def _hidden_paths(path: str, options: dict[str, Any]) -> Iterator[None]:
    hidden = [path, str(options.get("targets") or "")]
    try:
        yield
    except SceneError as error:
        message = without_paths(error.message, hidden)
        raise SceneError(message, hint=without_paths(error.hint, hidden)) from None


def camera_list(scene: Scene, cameras: Cameras) -> list[dict[str, Any]]:
    """Poses in the world and units that the scene was read from, as a client's own targets are.

    Intrinsics are in pixels of the size beside them, the scene's: alone they would be taken to be
    for its photos. JSON.
    """
    views = []
    height, width = cameras.image_size
    home = scene.in_world(cameras)
    for pose, k in zip(home.world_from_camera.tolist(), home.intrinsics.tolist(), strict=True):
        lens = {"fx": k[0][0], "fy": k[1][1], "cx": k[0][2], "cy": k[1][2]}
        views.append({"pose": pose, "intrinsics": lens, "width": width, "height": height})
    return views


def without_paths(text: str, paths: list[str]) -> str:
    """The text with the server's folders cut off; what remains is what the user sent."""
    for path in paths:
        if path.startswith("/"):
            text = text.replace(path + "/", "")
            named = "the target cameras" if path.endswith(".json") else "the scene"
            text = text.replace(path, named)
            text = text.replace(str(Path(path).parent) + "/", "")
    return text
