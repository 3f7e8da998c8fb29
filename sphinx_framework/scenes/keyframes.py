"""Reader of key frames: a few cameras and when to be there; smooth splines in between.

::

    {
      "fps": 12,                                   frames per second of the path
      "keyframes": [
        {"time": 0, "input": 0},                   the camera of an input, by number
        {"time": 2, "pose": [[...4 numbers] x 4 or 3], "intrinsics": {...}},     as in cameras.json
        {"time": 3.5, "input": 1}
      ],
      "convention": "opencv_c2w",                  of the poses; needed where there is one
      "loop": true, "duration": 5                  optional: back to the first one at this time
    }

Centres follow a cubic spline (without bends at the ends, or periodic), rotations a spline of
continuous angular velocity, focal lengths and principal points straight lines.
"""

from dataclasses import replace

import numpy as np
import torch

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.capture import Shot, validate_poses
from sphinx_framework.scenes.json_fields import Fields
from sphinx_framework.scenes.lender import Lender
from sphinx_framework.scenes.photos import read_target_shot
from sphinx_framework.scenes.poses import pose_convention
from sphinx_framework.scenes.target_keys import KEYFRAMES
from sphinx_framework.types import Cameras
from sphinx_framework.types.origin import moved

MOST_FRAMES = 1000
_DEFAULT_FPS = 12.0
# Of a camera; an input has its own.
_CAMERA = ("pose", "intrinsics", "width", "height")


def read_keyframes(top: Fields, lender: Lender, convention: str) -> tuple[Cameras, tuple[str, ...]]:
    """Cameras along the splines, at the size of the inputs, and what is doubtful about them.

    lender: the scene with the inputs, whose first lends its intrinsics to poses that have none.

    Raises:
        SceneError: fewer than two key frames, times that do not rise, an input that is not there
            or has another camera beside it, more than 1000 frames, or a malformed file.
    """
    entries = top.objects(KEYFRAMES)
    if len(entries) < 2:
        raise SceneError(f"{top.where}, {KEYFRAMES!r}: a path needs at least two key frames.")
    shots = [_shot(entry, top, lender, convention) for entry in entries]
    validate_poses(shots, f"{top.where}: key frame")
    posed = [shot for entry, shot in zip(entries, shots, strict=True) if "input" not in entry]
    doubts = lender.doubts(posed)
    keys = lender.cameras(shots)
    times = [entry.number("time") for entry in entries]
    looped = _looped(top)
    if looped:
        times.append(top.number("duration"))
        keys = keys[[*range(len(shots)), 0]]
    for before, after, entry in zip(times, times[1:], [*entries[1:], top], strict=False):
        if after <= before:
            raise SceneError(f"{entry.where}: its time {after:g} does not come after {before:g}.")
    given = top.number_or_none("fps")
    fps = _DEFAULT_FPS if given is None else given
    count = (times[-1] - times[0]) * fps + 1e-6
    if fps <= 0 or not 0 <= count < MOST_FRAMES:
        raise SceneError(
            f"{top.where}: {times[-1] - times[0]:g} seconds at {fps:g} frames per second are not 1 "
            f"to {MOST_FRAMES} frames."
        )
    frames = int(count) + (0 if looped else 1)
    at = times[0] + np.arange(max(frames, 1)) / fps
    return _splined(keys, np.array(times), at, periodic=looped), doubts


def _looped(top: Fields) -> bool:
    given = top.values.get("loop")
    if given is not None and not isinstance(given, bool):
        raise SceneError(f"{top.where}, 'loop': must be true or false, got {shown(repr(given))}.")
    return bool(given)


def _shot(entry: Fields, top: Fields, lender: Lender, convention: str) -> Shot:
    if "input" not in entry:
        shot = read_target_shot(entry, pose_convention(top, convention), lender.camera)
        return replace(shot, file=None)
    doubled = [key for key in _CAMERA if key in entry]
    if doubled:
        raise SceneError(
            f"{entry.where}: has 'input' and {doubled[0]!r}; an input's camera is its own.",
            hint="Leave out one of the two.",
        )
    index, inputs = entry.number("input"), lender.scene.inputs
    if index not in range(len(inputs)):
        raise SceneError(
            f"{entry.where}, 'input': {index:g} is no input; there are {len(inputs)}, from 0."
        )
    camera = inputs[int(index)]
    return replace(
        lender.camera,
        where=entry.where,
        world_from_camera=moved(camera.world_from_camera[0].double().cpu(), lender.scene.origin, 1),
        intrinsics=camera.intrinsics[0].double().cpu(),
    )


def _splined(keys: Cameras, times: np.ndarray, at: np.ndarray, *, periodic: bool) -> Cameras:
    from scipy.interpolate import CubicSpline, interp1d
    from scipy.spatial.transform import Rotation, RotationSpline

    poses = keys.world_from_camera.double().numpy()
    ends = "periodic" if periodic else "natural"
    centres = CubicSpline(times, poses[:, :3, 3], bc_type=ends)(at)
    turned = RotationSpline(times, Rotation.from_matrix(poses[:, :3, :3]))(at)
    lenses = interp1d(times, keys.intrinsics.double().numpy(), axis=0)(at.clip(*times[[0, -1]]))
    made = torch.eye(4, dtype=torch.float64).repeat(len(at), 1, 1)
    made[:, :3, :3] = torch.from_numpy(turned.as_matrix())
    made[:, :3, 3] = torch.from_numpy(centres)
    return Cameras(
        world_from_camera=made.float(),
        intrinsics=torch.from_numpy(lenses).float(),
        image_size=keys.image_size,
    )
