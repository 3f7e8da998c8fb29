"""Scenes with ground truth: a drawn world, a camera path through it, inputs at both ends."""

from dataclasses import dataclass

import numpy as np
import torch

from sphinx_framework.errors import SceneError
from sphinx_framework.types import Cameras, Scene
from sphinx_framework_lite.scenes.layout import draw_world
from sphinx_framework_lite.scenes.world import Floats, World

SPLITS = {"train": 1, "calibration": 2, "report": 3, "demo": 4}
TEXTURES = {"train": 480, "calibration": 160, "report": 160, "demo": 160}
ATTEMPTS = 60
CLEARANCE = 0.45
PROBE = (24, 24)


@dataclass(frozen=True, slots=True, kw_only=True)
class PosedWorld:
    """A world and a path of cameras through it, first and last of them the inputs.

    poses: world_from_camera, OpenCV axes. intrinsics: pixels of ``size`` = (height, width).
    near, far: depth range in scene units that holds everything these cameras see.
    """

    world: World
    poses: Floats
    intrinsics: Floats
    size: tuple[int, int]
    near: float
    far: float


def _look_at(centre: Floats, target: Floats, roll: float) -> Floats:
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross([np.sin(roll), np.cos(roll), 0.0], forward)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = centre
    return pose


def _path(rng: np.random.Generator, frames: int, baseline: float, reach: float) -> Floats:
    """Quadratic path; the cameras look at a point that drifts with them (partly toed in)."""
    heading = rng.normal(0, 1, 3) * np.array([1.0, 0.22, 0.45])
    heading /= np.linalg.norm(heading)
    bulge = np.cross(heading, rng.normal(0, 1, 3)) * 0.12 * baseline
    start = np.array([rng.uniform(-0.3, 0.3), rng.uniform(-0.25, 0.2), 0.0])
    focus = np.array([rng.uniform(-0.15, 0.15) * reach, rng.uniform(-0.05, 0.12) * reach, reach])
    drift = rng.uniform(0.0, 0.8) * heading
    roll = rng.uniform(-0.06, 0.06)
    poses = []
    for t in np.linspace(-0.5, 0.5, frames):
        centre = start + baseline * t * heading + bulge * (1 - 4 * t * t)
        poses.append(_look_at(centre, focus + baseline * t * drift, roll))
    return np.stack(poses)


def _intrinsics(rng: np.random.Generator, size: tuple[int, int], frames: int) -> Floats:
    height, width = size
    view = np.deg2rad(rng.uniform(48, 66))
    focal = 0.5 * min(height, width) / np.tan(view / 2)
    k = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    return np.repeat(k[None], frames, axis=0)


def posed_world(
    seed: int,
    *,
    split: str = "demo",
    size: tuple[int, int] = (96, 96),
    frames: int = 8,
    baseline: float | None = None,
) -> PosedWorld:
    """Draw world and cameras of one seed; redraws until no camera touches anything.

    baseline: distance of the two inputs as a fraction of the distance of what they look at;
        ``None`` draws it between 0.1 (easy) and 0.75 (regression fails).
    """
    if split not in SPLITS:
        raise SceneError(
            f"the built-in scenes have no split {split!r}.", hint=f"Choose of {', '.join(SPLITS)}."
        )
    if seed < 0 or frames < 3 or min(size) < 16:
        raise SceneError(
            f"a built-in scene needs a seed >= 0, 3 frames or more and 16 pixels or more, got seed "
            f"{seed}, {frames} frames, {size[0]}x{size[1]} pixels."
        )
    family = SPLITS[split]
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([family, seed, attempt])
        world, back = draw_world(rng, family, TEXTURES[split])
        reach = float(rng.uniform(0.45, 0.85)) * back
        fraction = float(np.exp(rng.uniform(np.log(0.1), np.log(0.75))))
        poses = _path(rng, frames, (baseline or fraction) * reach, reach)
        intrinsics = _intrinsics(rng, size, frames)
        probe = intrinsics * np.array([PROBE[1] / size[1], PROBE[0] / size[0], 1.0])[:, None]
        depth = world.depth(poses, probe, PROBE)
        nearest, farthest = float(depth.min()), float(depth.max())
        if nearest < CLEARANCE or farthest > 1e3 or np.quantile(depth, 0.25) < 1.0:
            continue
        return PosedWorld(
            world=world,
            poses=poses,
            intrinsics=intrinsics,
            size=size,
            near=0.85 * nearest,
            far=1.15 * farthest,
        )
    raise SceneError(
        f"no usable camera path was found for built-in scene {split}/{seed}.",
        hint="Take another seed, a smaller baseline or a size that is less narrow.",
    )


def make_scene(
    seed: int,
    *,
    split: str = "demo",
    size: tuple[int, int] = (96, 96),
    targets: int = 6,
    baseline: float | None = None,
) -> Scene:
    """Generate one built-in scene: two inputs at the ends of a path, targets between them.

    Args:
        seed: number of the scene within its split, >= 0.
        split: ``"demo"``, ``"train"``, ``"calibration"`` or ``"report"``; they share neither
            seeds nor textures.
        size: ``(height, width)`` in pixels.
        targets: number of target views, evenly spaced between the inputs.
        baseline: distance of the inputs over the distance of the scene; ``None`` draws it.

    Returns:
        A scene with ground truth at the targets and the depth range of what the cameras see.

    Raises:
        SceneError: if the arguments are out of range.
    """
    if targets < 1:
        raise SceneError(f"a built-in scene needs at least 1 target, got {targets}.")
    posed = posed_world(seed, split=split, size=size, frames=targets + 2, baseline=baseline)
    images = torch.from_numpy(posed.world.images(posed.poses, posed.intrinsics, size))
    images = images.permute(0, 3, 1, 2).contiguous()
    cameras = Cameras(
        world_from_camera=torch.from_numpy(posed.poses).float(),
        intrinsics=torch.from_numpy(posed.intrinsics).float(),
        image_size=size,
    )
    ends, between = [0, targets + 1], list(range(1, targets + 1))
    return Scene(
        images=images[ends],
        inputs=cameras[ends],
        targets=cameras[between],
        name=f"procedural:{split}/{seed}",
        near=posed.near,
        far=posed.far,
        target_images=images[between],
        order=tuple(float(i) for i in ends + between),
    )
