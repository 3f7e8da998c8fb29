"""Opening a kept or generated scene, the same way in the server and in its workers."""

from pathlib import Path
from typing import Any

from sphinx_framework.config import PipelineConfig
from sphinx_framework.errors import SceneError
from sphinx_framework.protocols import PoseEstimator
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.load import load_scene, load_unposed
from sphinx_framework.scenes.unposed import photo_files
from sphinx_framework.types import Cameras, Scene


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
    hidden = [path, str(options.get("targets") or "")]
    try:
        if estimator is not None and photo_files(Path(path)):
            return load_unposed(
                path, estimator, size=config.size, fit=config.fit, targets=options["targets"]
            )
        return load_scene(path, registry=registry, size=config.size, fit=config.fit, **options)
    except SceneError as error:
        message = without_paths(error.message, hidden)
        raise SceneError(message, hint=without_paths(error.hint, hidden)) from None


def camera_list(scene: Scene, cameras: Cameras) -> list[dict[str, Any]]:
    """Poses in the world and units that the scene was read from, as a client's own targets are.

    Intrinsics are in pixels of the scene's size; JSON.
    """
    views = []
    home = scene.in_world(cameras)
    for pose, k in zip(home.world_from_camera.tolist(), home.intrinsics.tolist(), strict=True):
        lens = {"fx": k[0][0], "fy": k[1][1], "cx": k[0][2], "cy": k[1][2]}
        views.append({"pose": pose, "intrinsics": lens})
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
