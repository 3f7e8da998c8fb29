"""Target specifications: the text after ``--targets`` and the cameras it stands for.

=======================  ====================================================================
``split``                the scene's own targets (the default)
``interpolate:N``        N poses between the inputs (also ``between:N``)
``MOVE:N[:OPTIONS]``     N poses of a camera move, see :mod:`.presets`; ``orbit:24``,
                         ``orbit:24:90``, ``dolly-in:24:distance=0.5``
``indices:3,5,8``        frames of the capture, by number
``FILE.json``            poses from a ``transforms.json``- or ``cameras.json``-like file, a
                         ``camera_path.json`` of nerfstudio's viewer, or key frames
                         (:mod:`.keyframes`)
=======================  ====================================================================
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sphinx_framework.errors import SceneError, suggestion
from sphinx_framework.scenes.camera_path import read_camera_path
from sphinx_framework.scenes.capture import Shot, validate_poses
from sphinx_framework.scenes.json_fields import read_json_object
from sphinx_framework.scenes.keyframes import read_keyframes
from sphinx_framework.scenes.lender import Lender, lender_of
from sphinx_framework.scenes.photos import read_target_shots
from sphinx_framework.scenes.poses import pose_convention, target_convention
from sphinx_framework.scenes.presets import PRESETS, View, preset_options
from sphinx_framework.scenes.target_keys import (
    FRAMES,
    KEYFRAMES,
    PATH_KEY,
    check_target_keys,
    names_target_file,
)
from sphinx_framework.scenes.trajectories import interpolate
from sphinx_framework.scenes.transform_frames import read_transform_shots
from sphinx_framework.scenes.world import World
from sphinx_framework.types import Cameras, Scene

MAX_TARGETS = 1000
_KINDS = ("split", "interpolate", "between", "indices", *PRESETS)
_FORMS = (
    "split, interpolate:N, indices:I,J,..., a .json file, or a move as orbit:N[:degrees=90]: "
    + ", ".join(PRESETS)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """A parsed target specification.

    kind: ``split``, ``interpolate``, ``indices``, ``file`` or the name of a preset. count: number
        of poses of a generated path. options: of a preset, all of them.
    """

    kind: str
    count: int = 0
    options: Mapping[str, float] = field(default_factory=dict)
    indices: tuple[int, ...] = ()
    file: Path | None = None


def parse_targets(text: str | None) -> TargetSpec:
    """Parse the text after ``--targets``; ``None`` is ``split``.

    Raises:
        SceneError: no text, an unknown form or option, or a count below 1 or above 1000.
    """
    if text is None or text == "split":
        return TargetSpec(kind="split")
    if not isinstance(text, str):
        raise SceneError(
            f"targets must be one text or None, got {text!r}.",
            hint=f"For example targets='orbit:24'. Choose {_FORMS}.",
        )
    if names_target_file(text):
        return TargetSpec(kind="file", file=Path(text).expanduser())
    kind, _, rest = text.partition(":")
    if kind in ("interpolate", "between"):
        return TargetSpec(kind="interpolate", count=_count(rest, text))
    if kind in PRESETS:
        count, _, options = rest.partition(":")
        return TargetSpec(
            kind=kind, count=_count(count, text), options=preset_options(kind, options, text)
        )
    if kind == "indices":
        indices = tuple(_whole(part, text) for part in rest.split(","))
        check_count(len(indices))
        if len(set(indices)) < len(indices):
            raise SceneError(f"targets {text!r}: names a frame twice.")
        return TargetSpec(kind="indices", indices=indices)
    raise SceneError(
        f"unknown targets {text!r}.", hint=f"{suggestion(kind, _KINDS)}Choose {_FORMS}."
    )


def check_count(count: int, none: str = "") -> None:
    """Raise :class:`SceneError` unless there are 1 to 1000 targets.

    none: why there are none, where that is known.
    """
    if count < 1:
        raise SceneError(
            f"{none}, so the scene has no targets." if none else "the scene has no targets.",
            hint="Choose some with --targets, e.g. interpolate:8.",
        )
    if count > MAX_TARGETS:
        raise SceneError(
            f"{count} targets are more than the {MAX_TARGETS} that one request may ask for.",
            hint="Ask for fewer, or split the request.",
        )


def choose_targets(
    scene: Scene,
    spec: TargetSpec,
    *,
    fit: str,
    convention: str,
    photo_size: tuple[int, int] | None = None,
    world: World | None = None,
) -> Scene:
    """Replace a fitted scene's targets by the cameras of a path or a file.

    ``split`` and ``indices`` choose among frames the reader knows and are resolved there or by
    :func:`select_targets`. Interpolated targets have positions along the capture; other paths have
    none, so the scene's order is dropped with them. convention: of a file that says none of its
    own. photo_size: (height, width) that the scene's intrinsics were for before its photos were
    fitted. world: where a file's poses may stand.

    Raises:
        SceneError: the file cannot be read, or the path needs more inputs.
    """
    if spec.kind == "file" and spec.file is not None:
        lender = lender_of(scene, photo_size, fit)
        targets, warnings = _read_file(spec.file, lender, convention, world)
        check_count(len(targets))
        scene = replace(scene, warnings=(*scene.warnings, *warnings))
        return _with_targets(scene, targets, None)
    if spec.kind == "interpolate":
        return _interpolated(scene, spec.count)
    if spec.kind in PRESETS:
        view = View(inputs=scene.inputs, near=scene.near, far=scene.far)
        return _with_targets(scene, PRESETS[spec.kind].make(view, spec.count, spec.options), None)
    return scene


def select_targets(scene: Scene, frames: tuple[int, ...]) -> Scene:
    """Keep the targets whose capture position is one of ``frames``, in that order.

    A scene without positions counts its own targets from 0.

    Raises:
        SceneError: a frame is not among the targets.
    """
    inputs = len(scene.inputs)
    names = range(len(scene.targets)) if scene.order is None else scene.order[inputs:]
    index = {float(name): i for i, name in enumerate(names)}
    missing = [frame for frame in frames if float(frame) not in index]
    if missing:
        known = ", ".join(f"{name:g}" for name in list(index)[:12])
        raise SceneError(
            f"frame {missing[0]} is not a target of {scene.name}.",
            hint=f"Its targets are: {known or 'none'}{' ...' if len(index) > 12 else ''}.",
        )
    return kept_targets(scene, [index[float(frame)] for frame in frames])


def kept_targets(scene: Scene, rows: Sequence[int]) -> Scene:
    """The scene with these of its targets alone, by number from 0, in that order."""
    truth, order, inputs = scene.target_images, scene.order, len(scene.inputs)
    rows = list(rows)
    return replace(
        scene,
        targets=scene.targets[rows],
        target_images=None if truth is None else truth[rows],
        order=None if order is None else (*order[:inputs], *(order[inputs + row] for row in rows)),
    )


def _interpolated(scene: Scene, count: int) -> Scene:
    """Interpolate between the inputs in the order of their positions."""
    inputs = len(scene.inputs)
    given = tuple(map(float, range(inputs))) if scene.order is None else scene.order[:inputs]
    along = sorted(range(inputs), key=lambda i: given[i])
    cameras, places = interpolate(scene.inputs[along], count)
    sorted_positions = [given[i] for i in along]
    positions = []
    for place in places.tolist():
        first = min(math.floor(place), inputs - 2)
        weight = place - first
        low, high = sorted_positions[first], sorted_positions[first + 1]
        positions.append((1 - weight) * low + weight * high)
    return _with_targets(scene, cameras, (*given, *positions))


def _with_targets(scene: Scene, targets: Cameras, order: tuple[float, ...] | None) -> Scene:
    device = scene.images.device
    return replace(scene, targets=targets.to(device), target_images=None, order=order)


def _read_file(
    path: Path, lender: Lender, convention: str, world: World | None
) -> tuple[Cameras, tuple[str, ...]]:
    """Cameras of a pose file, fitted to the scene's size; only poses are taken from it."""
    top = read_json_object(path)
    check_target_keys(top, convention)
    convention, notes = target_convention(top, convention)
    shots: Sequence[Shot]
    # nerfstudio's viewer writes its own key frames beside the path that it made of them.
    if KEYFRAMES in top and PATH_KEY not in top:
        return read_keyframes(top, lender, convention)
    if PATH_KEY in top:
        shots, warnings = read_camera_path(top, path, world, lender.photo_size)
    elif FRAMES in top:
        applied, moves = (None, ()) if world is None else world.applied_for(top)
        notes = (*moves, *notes)
        shots, warnings = read_transform_shots(
            path,
            convention=convention,
            with_files=False,
            applied=applied,
            like=lender.camera,
            default_size=lender.photo_size,
        )
    else:
        named = pose_convention(top, convention)
        shots, warnings = read_target_shots(top, path.parent, named, lender.camera), ()
        validate_poses(shots, f"{path}: target")
    bare = [replace(shot, file=None) for shot in shots]
    doubts = lender.doubts(bare)
    return lender.cameras(bare), (*notes, *warnings, *doubts)


def _count(text: str, spec: str) -> int:
    count = _whole(text, spec)
    check_count(count)
    return count


def _whole(text: str, spec: str) -> int:
    if re.fullmatch(r"\s*-?[0-9]{1,40}\s*", text, re.ASCII):  # int() also takes 1_0 and ٣
        return int(text)
    raise SceneError(f"targets {spec!r}: {text!r} is not a whole number.", hint=f"Choose {_FORMS}.")
