"""Layered scenes of photographs: slanted planes with photos on them, exact depth, posed frames.

    python training/photo_scenes.py --photos P --scenes 3000 --out training/data

A scene is a backdrop, often a floor and walls, and cut-outs of photographs at several depths, each
a slanted plane, so that every pixel's depth is exact while colours, grain and edges are those of
photographs. Photos come from any folder of free images (``DATA.md``); none is in the repository.
Writes the memory maps of ``render_scenes.py`` as split ``photos``.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from render_scenes import FRAMES, SIDE, arrays
from torch import Tensor
from torch.nn import functional

SUPERSAMPLING = 2
LARGEST_PHOTO = 1280
BASELINES = (0.08, 1.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A textured plane: ``origin`` and unit axes span it, ``extent`` is the texture's half size.

    texture: colours and alpha, ``[4, h, w]``; beyond it the plane repeats (``alpha`` all ones) or
    ends.
    """

    origin: Tensor
    across: Tensor
    down: Tensor
    extent: tuple[float, float]
    texture: Tensor
    endless: bool


def photo_pool(folder: Path) -> list[Tensor]:
    """All photos of a folder as ``[3, H, W]`` in [0, 1], at most ``LARGEST_PHOTO`` wide."""
    pool = []
    for path in sorted(folder.iterdir()):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            continue
        scale = min(1.0, LARGEST_PHOTO / max(image.shape[:2]))
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        pool.append(torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1).float() / 255)
    if not pool:
        raise SystemExit(f"{folder}: no readable photos")
    return pool


def crop(pool: list[Tensor], random: np.random.Generator, side: int, share: float) -> Tensor:
    """A random part of a random photo, resized by area, tinted and mirrored at random."""
    photo = pool[random.integers(len(pool))]
    height, width = photo.shape[1:]
    window = max(24, int(min(height, width) * share))
    top, left = random.integers(height - window + 1), random.integers(width - window + 1)
    part = photo[:, top : top + window, left : left + window]
    part = functional.interpolate(part[None], (side, side), mode="bilinear", antialias=True)[0]
    if random.random() < 0.5:
        part = part.flip(-1)
    gain = torch.tensor(random.uniform(0.7, 1.3, 3), dtype=torch.float32)[:, None, None]
    return (part * gain).clamp(0, 1)


def silhouette(random: np.random.Generator, side: int) -> Tensor:
    """A cut-out's alpha: a blob, an ellipse, a rectangle or a bundle of thin bars."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    kind = random.random()
    if kind < 0.45:
        noise = random.standard_normal((side, side)).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), side / random.uniform(6, 20))
        noise = noise / (noise.std() + 1e-6) + 1.4 - 1.8 * (x**2 + y**2)
        mask = noise > 0
    elif kind < 0.65:
        mask = x**2 + (y / random.uniform(0.5, 1)) ** 2 < 0.9
    elif kind < 0.85:
        mask = (np.abs(x) < 0.95) & (np.abs(y) < random.uniform(0.3, 0.95))
    else:
        wave = np.sin((x * random.uniform(0.3, 1) + y * random.uniform(-0.6, 0.6)) * 12)
        mask = wave > random.uniform(0.2, 0.8)
    return torch.from_numpy(mask.astype(np.float32))


def plane(
    random: np.random.Generator, centre: np.ndarray, half: float, tilt: float, texture: Tensor,
    endless: bool,
) -> Layer:  # fmt: skip
    """A plane around ``centre`` that faces the cameras up to ``tilt`` radians."""
    angles = random.uniform(-tilt, tilt, 2)
    cy, sy, cx, sx = np.cos(angles[0]), np.sin(angles[0]), np.cos(angles[1]), np.sin(angles[1])
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array(
        [[1, 0, 0], [0, cx, -sx], [0, sx, cx]]
    )
    made = torch.from_numpy(np.concatenate([turn[:, :2].T, centre[None]])).float()
    return Layer(
        origin=made[2], across=made[0], down=made[1], extent=(half, half), texture=texture,
        endless=endless,
    )  # fmt: skip


def layers(pool: list[Tensor], random: np.random.Generator) -> list[Layer]:
    """A backdrop, perhaps a floor and walls, and two to eight cut-outs in front of it."""
    far = random.uniform(3, 9)
    made = []

    def surface(share: float) -> Tensor:
        part = crop(pool, random, 384, share)
        return torch.cat([part, torch.ones(1, *part.shape[1:])])

    made.append(
        plane(
            random,
            np.array([0, 0, far]),
            far * random.uniform(0.7, 1.3),
            0.5,
            surface(random.uniform(0.4, 1)),
            True,
        )
    )
    if random.random() < 0.7:
        height = random.uniform(0.5, 1.6)
        floor = torch.tensor([[1.0, 0, 0], [0, 0, 1.0], [0, height, 0]])
        size = random.uniform(1.5, 4)
        made.append(
            Layer(
                origin=floor[2], across=floor[0], down=floor[1], extent=(size, size),
                texture=surface(random.uniform(0.2, 1)), endless=True,
            )
        )  # fmt: skip
    if random.random() < 0.5:
        side = random.choice([-1, 1]) * random.uniform(1, 3)
        size = random.uniform(1.5, 4)
        made.append(
            Layer(
                origin=torch.tensor([float(side), 0, 2]), across=torch.tensor([0, 0, 1.0]),
                down=torch.tensor([0, 1.0, 0]), extent=(size, size),
                texture=surface(random.uniform(0.3, 1)), endless=True,
            )
        )  # fmt: skip
    for _ in range(random.integers(2, 9)):
        depth = math.exp(random.uniform(math.log(1.2), math.log(far)))
        centre = np.array([random.uniform(-0.6, 0.6), random.uniform(-0.5, 0.5), 1]) * depth
        part = crop(pool, random, 192, random.uniform(0.15, 0.8))
        texture = torch.cat([part, silhouette(random, 192)[None]])
        half = depth * math.exp(random.uniform(math.log(0.08), math.log(0.5)))
        made.append(plane(random, centre, half, 0.9, texture, False))
    return made


def path(
    random: np.random.Generator, reach: tuple[float, float] = BASELINES
) -> tuple[np.ndarray, np.ndarray]:
    """Poses ``[F, 4, 4]`` along a short path and one pinhole matrix for ``SIDE`` pixels.

    reach: shortest and longest distance of its ends, in scene units.
    """
    baseline = math.exp(random.uniform(math.log(reach[0]), math.log(reach[1])))
    towards = random.standard_normal(3) * (
        [1, 0.5, 0.3] if random.random() < 0.6 else [0.3, 0.2, 1]
    )
    towards /= np.linalg.norm(towards)
    bend = random.standard_normal(3) * 0.08 * baseline
    turn = random.uniform(-0.2, 0.2, 3) * [0.7, 1, 0.3]
    poses = []
    for t in np.linspace(-0.5, 0.5, FRAMES):
        pose = np.eye(4)
        pose[:3, :3] = cv2.Rodrigues(turn * t)[0]
        pose[:3, 3] = towards * baseline * t + bend * (0.25 - t * t)
        poses.append(pose)
    focal = SIDE / 2 / math.tan(math.radians(random.uniform(45, 80)) / 2)
    k = np.array([[focal, 0, SIDE / 2], [0, focal, SIDE / 2], [0, 0, 1]])
    return np.stack(poses).astype(np.float32), k.astype(np.float32)


def traced(scene: list[Layer], pose: Tensor, k: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Colours ``[3, side, side]`` and camera-z of the nearest opaque layer at pixel centres."""
    scale = side / SIDE
    grid = (torch.arange(side) + 0.5) / scale
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    rays = torch.stack([(x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1], torch.ones_like(x)], -1)
    rays = rays @ pose[:3, :3].T  # camera-z of a point is its ray parameter
    colours, depth = torch.zeros(3, side, side), torch.full((side, side), 1e6)
    for layer in scene:
        normal = torch.linalg.cross(layer.across, layer.down)
        along = rays @ normal
        t = ((layer.origin - pose[:3, 3]) @ normal) / torch.where(along.abs() < 1e-6, 1e-6, along)
        offset = pose[:3, 3] + t[..., None] * rays - layer.origin
        u = offset @ layer.across / layer.extent[0]
        v = offset @ layer.down / layer.extent[1]
        inside = (t > 0.05) & (t < depth)
        if layer.endless:  # mirrored tiles
            u, v = _mirrored(u), _mirrored(v)
        else:
            inside &= (u.abs() < 1) & (v.abs() < 1)
        place = torch.stack([u, v], -1)[None]
        seen = functional.grid_sample(
            layer.texture[None], place, mode="bilinear", padding_mode="border", align_corners=False
        )[0]
        inside &= seen[3] > 0.5
        colours = torch.where(inside, seen[:3], colours)
        depth = torch.where(inside, t, depth)
    return colours, depth


def _mirrored(c: Tensor) -> Tensor:
    """Fold a coordinate into [-1, 1] so that tiles meet without a seam."""
    return 1 - ((c + 1).remainder(4) - 2).abs()


def rendered(
    scene: list[Layer], poses: np.ndarray, k: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images ``[F, side, side, 3]`` without grain, and exact depth of the first and last."""
    matrix = torch.from_numpy(k)
    images, depths = [], []
    for frame, pose in enumerate(torch.from_numpy(poses)):
        fine, _ = traced(scene, pose, matrix, side * SUPERSAMPLING)
        images.append(functional.avg_pool2d(fine, SUPERSAMPLING))
        if frame in (0, FRAMES - 1):
            depths.append(traced(scene, pose, matrix, side)[1])
    depth = torch.stack(depths).clamp(max=200)
    return torch.stack(images).permute(0, 2, 3, 1).numpy(), depth.numpy()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=3000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--side", type=int, default=SIDE, help="pixels")
    parser.add_argument("--baselines", type=float, nargs=2, default=BASELINES)
    parser.add_argument("--until", type=int, help="stop before this scene (default: all)")
    parser.add_argument("--split", default="photos")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pool = photo_pool(options.photos)
    side = options.side
    data = arrays(options.out / options.split, options.scenes, side)
    for index in range(options.scenes if options.until is None else options.until):
        if data["done"][index]:
            continue
        random = np.random.default_rng([options.first + index, 20])
        scene = layers(pool, random)
        poses, k = path(random, options.baselines)
        images, depth = rendered(scene, poses, k, side)
        pictures = images + random.normal(0, random.uniform(0, 0.012), images.shape)
        data["images"][index] = np.round(pictures.clip(0, 1) * 255).astype(np.uint8)
        data["depth"][index] = depth
        data["poses"][index] = poses
        data["intrinsics"][index] = k * np.array([[side / SIDE], [side / SIDE], [1]])
        low, high = np.quantile(depth, [0.002, 0.998])
        data["range"][index] = 0.9 * low, 1.1 * min(high, 40)
        data["done"][index] = 1
        if index % 200 == 0:
            print(options.split, index, flush=True)


if __name__ == "__main__":
    main()
