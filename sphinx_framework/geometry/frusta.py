"""Which cameras can have seen what others show, from their view volumes alone."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sphinx_framework.types import Cameras

# Depths of unknown scenes, in units of the widest distance between two cameras.
_NEAREST, _FARTHEST = 0.1, 200.0
_ACROSS, _DEPTHS = 7, 10


def overlaps(
    first: Cameras, second: Cameras, near: float | None = None, far: float | None = None
) -> Bool[Tensor, "A B"]:
    """Whether the view volumes of two cameras meet, for every pair.

    Sampled: points along rays of one that the other has in its image, and the other way round.

    near, far: the depths that hold content; unknown, depths of 0.1 to 200 times the widest distance
        between any two of the cameras count.
    """
    centres = torch.cat([first.centres, second.centres]).double().cpu()
    widest = float((centres - centres.mean(dim=0)).norm(dim=1).max()) * 2
    scale = widest if widest > 0 else 1.0
    low = near if near is not None else _NEAREST * scale
    high = far if far is not None else _FARTHEST * scale
    depths = torch.logspace(0, 1, _DEPTHS, base=high / low, dtype=torch.float64) * low
    return _sees(second, _points(first, depths)).T | _sees(first, _points(second, depths))


def focus_side(poses: Float[Tensor, "V 4 4"]) -> int:
    """Where the optical axes of all cameras meet: 1 before, -1 behind every one of them, else 0.

    Behind, as those of a capture around something whose poses are read with the wrong axes.
    Almost parallel axes, and such as miss each other, tell nothing.

    poses: camera-to-world, OpenCV axes.
    """
    centres, forward = poses[:, :3, 3].double().cpu(), poses[:, :3, 2].double().cpu()
    across = torch.eye(3, dtype=torch.float64) - forward[:, :, None] * forward[:, None, :]
    mean = across.mean(dim=0)
    if len(poses) < 2 or not float(torch.linalg.eigvalsh(mean)[0]) >= 3e-3:
        return 0
    point = torch.linalg.solve(mean, (across @ centres[:, :, None]).mean(dim=0)[:, 0])
    misses = (across @ (point - centres)[:, :, None])[:, :, 0].norm(dim=1)
    away = (point - centres).norm(dim=1)
    ahead = ((point - centres) * forward).sum(1)
    if not bool((misses < 0.3 * away).all()):
        return 0
    return 1 if bool((ahead > 0).all()) else -1 if bool((ahead < 0).all()) else 0


def focus_behind(cameras: Cameras) -> bool:
    """Whether the axes of three or more cameras meet behind all of them; two may just diverge."""
    return len(cameras) > 2 and focus_side(cameras.world_from_camera) < 0


def _points(cameras: Cameras, depths: Float[Tensor, " D"]) -> Float[Tensor, "V P 3"]:
    """World points on a grid of rays through each image, at the given depths."""
    height, width = cameras.image_size
    steps = (torch.arange(_ACROSS, dtype=torch.float64) + 0.5) / _ACROSS
    y, x = torch.meshgrid(steps * height, steps * width, indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(-1, 3)
    rays = pixels @ torch.linalg.inv(cameras.intrinsics.double().cpu()).transpose(1, 2)
    local = (rays[:, None] * depths[:, None, None]).flatten(1, 2)
    poses = cameras.world_from_camera.double().cpu()
    return local @ poses[:, :3, :3].transpose(1, 2) + poses[:, None, :3, 3]


def _sees(cameras: Cameras, points: Float[Tensor, "V P 3"]) -> Bool[Tensor, "C V"]:
    """Whether a camera has any of the points of a group in its image."""
    height, width = cameras.image_size
    limit = torch.tensor([width, height], dtype=torch.float64)
    rows = []
    for index in range(len(cameras)):
        pose = cameras.world_from_camera[index].double().cpu()
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        image = local @ cameras.intrinsics[index].double().cpu().T
        place = image[..., :2] / image[..., 2:].clamp(min=1e-12)
        inside = ((place >= 0) & (place <= limit)).all(dim=-1) & (local[..., 2] > 0)
        rows.append(inside.any(dim=1))
    return torch.stack(rows) if rows else torch.zeros(0, len(points), dtype=torch.bool)
