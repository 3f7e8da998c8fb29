"""What the viewer needs of an output folder of ``render``, checked before anything opens."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sphinx_framework.errors import ConfigError, SceneError, shown
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.capture import Capture, Shot
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.scenes.readers import PROCEDURAL, read_capture
from sphinx_framework.types import Cameras, Scene
from sphinx_framework.types.origin import NO_MOVE, Origin, moved, origin_of

REPORT = "report.json"
SCHEMA = "sphinx-framework/report/1"
SPLATS = "scene.ply"
ANY_PATH = "orbit:1"


@dataclass(frozen=True, slots=True)
class Frame:
    """A target: its camera, its pictures' files, and the report's row about it."""

    camera: Shot
    final: Path
    coarse: Path
    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ViewedResult:
    """A result as the viewer shows it.

    inputs: the photos and their cameras, or ``None`` with ``inputs_note`` saying why.
    origin: the point of the result's world that the viewer calls (0, 0, 0).
    """

    folder: Path
    frames: tuple[Frame, ...]
    num_steps: int
    splats: Path | None
    inputs: Scene | None
    inputs_note: str
    origin: Origin = NO_MOVE


def read_result(folder: Path, scene: str | None = None, **reading: Any) -> ViewedResult:
    """Read an output folder; ``scene`` is where its photos are, unless they are generated.

    reading: ``reader``, ``split`` and ``convention`` that the scene was rendered with.

    Raises:
        ConfigError: the folder holds no result.
        SceneError: its cameras, or the scene that was named, cannot be read.
    """
    report = _report(folder)
    shots = _capture(folder).shots
    rows = report["frames"]
    if len(rows) != len(shots):
        raise ConfigError(
            f"{shown(folder)}: report.json has {len(rows)} frames and transforms.json "
            f"{len(shots)}.",
            hint="Render again; the folder mixes two results.",
        )
    frames = tuple(
        Frame(
            camera=shot,
            final=_picture(folder, f"frames/{index:03d}.png"),
            coarse=_picture(folder, f"coarse/{index:03d}.png"),
            report=row,
        )
        for index, (shot, row) in enumerate(zip(shots, rows, strict=True))
    )
    splats = folder / SPLATS
    inputs, note = _inputs(report, frames, scene, reading)
    origin = origin_of([shot.world_from_camera for shot in shots])
    return ViewedResult(
        folder=folder,
        frames=frames,
        num_steps=int(report["num_steps"]),
        splats=splats if splats.is_file() else None,
        inputs=None if inputs is None else _seen_from(inputs, origin),
        inputs_note=note,
        origin=origin,
    )


def _report(folder: Path) -> dict[str, Any]:
    path = folder / REPORT
    hint = "Name the folder that was given to render --out."
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ConfigError(f"{shown(folder)}: holds no result ({REPORT}).", hint=hint) from None
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise ConfigError(f"{shown(path)}: is no report of a render.", hint=hint)
    for key, kind in (("frames", list), ("num_steps", int), ("config", dict), ("scene", str)):
        if not isinstance(report.get(key), kind):
            raise ConfigError(f"{shown(path)}: its {key!r} is missing or damaged.", hint=hint)
    if not all(isinstance(row, dict) for row in report["frames"]) or not report["frames"]:
        raise ConfigError(f"{shown(path)}: its 'frames' are damaged.", hint=hint)
    return report


def _capture(folder: Path) -> Capture:
    capture = read_capture(folder, reader="transforms")
    if capture is None or any(shot.image_size is None for shot in capture.shots):
        raise SceneError(f"{shown(folder / 'transforms.json')}: says no image size.")
    return capture


def _picture(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise ConfigError(f"{shown(path)}: is missing.", hint="Render again.")
    return path


def _inputs(
    report: dict[str, Any],
    frames: tuple[Frame, ...],
    scene: str | None,
    reading: dict[str, Any],
) -> tuple[Scene | None, str]:
    """The photos as the models saw them; generated scenes are made again."""
    name = scene
    if name is None and report["scene"].startswith(PROCEDURAL):
        name = report["scene"]
    if name is None:
        return None, "the photos are not shown; name their folder with --scene"
    size = frames[0].camera.image_size
    fit = str(report["config"].get("fit", "crop"))
    try:
        found = load_scene(
            name,
            registry=Registry.from_entry_points(),
            size=size,
            fit=fit,
            targets=ANY_PATH,
            **(reading if scene is not None else {}),
        )
    except SceneError as error:
        if scene is not None:
            raise
        return None, f"the photos are not shown: {error.message}"
    return found, ""


def _seen_from(scene: Scene, origin: Origin) -> Scene:
    """The scene relative to a point of the world that it was read from."""

    def seen(cameras: Cameras) -> Cameras:
        home = scene.in_world(cameras)
        poses = moved(home.world_from_camera, origin, -1).float()
        return replace(home, world_from_camera=poses)

    return replace(scene, inputs=seen(scene.inputs), targets=seen(scene.targets), origin=origin)


def cameras_of(result: ViewedResult) -> Cameras:
    """All targets' cameras."""
    import torch

    shots = [frame.camera for frame in result.frames]
    size = shots[0].image_size
    assert size is not None  # checked when the folder was read
    return Cameras(
        world_from_camera=moved(
            torch.stack([shot.world_from_camera for shot in shots]), result.origin, -1
        ).float(),
        intrinsics=torch.stack([shot.intrinsics for shot in shots]).float(),
        image_size=size,
    )
