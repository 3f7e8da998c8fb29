"""Depth moved to where the photos agree: Lucas and Kanade (1981), along epipolar lines.

The network's depth is right to a fraction of a plane; what that is short of shifts a render by half
a pixel and more. Per pixel one number is sought, the shift of its match in the neighbour's photo:
least squares over a Gaussian window, from wide windows on small photos to narrow ones on large
ones. Differences of brightness between the photos do not count, nor do pixels that another surface
hides.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.types import Cameras
from sphinx_framework_lite.geometry import pixel_grid, scaled_intrinsics

# Standard deviations of the windows, in pixels, at each share of the size: one step for each.
WINDOWS = ((0.5, (4.0, 3.0)), (1.0, (5.0, 3.0, 2.0)))
# Larger photos are made smaller for it: at most this shorter side.
LARGEST = 256
# The match of a pixel moves by at most this many pixels a step; depth past a surface of the
# neighbour's by more than HIDDEN pixels is hidden by it.
STEP, HIDDEN = 0.5, 1.0
# Squared gradient (of colours in [0, 1]) below which a window says nothing; difference of colours
# at which a pixel counts half.
FLAT, OUTLIER = 1e-3, 0.2


def refined_depth(
    images: Float[Tensor, "N 3 H W"],
    cameras: Cameras,
    depth: Float[Tensor, "N H W"],
    neighbours: list[list[int]],
) -> Float[Tensor, "N H W"]:
    """Camera-z at which every photo agrees best with its neighbours', near ``depth``.

    neighbours: the other inputs that each is compared with, at least one.
    """
    full = (images.shape[-2], images.shape[-1])
    poses = cameras.world_from_camera.double()
    inverse = 1 / depth
    for share, windows in WINDOWS:
        scale = share * min(1.0, LARGEST / min(full))
        size = (max(8, round(full[0] * scale)), max(8, round(full[1] * scale)))
        small = functional.interpolate(images, size, mode="bilinear", antialias=True)
        projections = _projections(poses, scaled_intrinsics(cameras, size).double(), neighbours)
        start = functional.interpolate(inverse[:, None], size, mode="bilinear")[:, 0]
        found = start
        for deviation in windows:
            moved = [
                _moved(small, found, projections, view, around, deviation)
                for view, around in enumerate(neighbours)
            ]
            found = torch.stack(moved)
        change = functional.interpolate((found - start)[:, None], full, mode="bilinear")[:, 0]
        # Never through infinity, nor to more than twice as near.
        inverse = torch.minimum(torch.maximum(inverse + change, inverse / 2), inverse * 2)
    return 1 / inverse


def _moved(
    images: Float[Tensor, "N 3 h w"],
    inverse: Float[Tensor, "N h w"],
    projections: dict[tuple[int, int], Tensor],
    view: int,
    around: list[int],
    deviation: float,
) -> Float[Tensor, "h w"]:
    """Inverse depth of one view after one step of least squares."""
    paths = [_path(inverse[view], projections[view, other]) for other in around]
    # Inverse depth that moves the match by a pixel, where it moves most.
    pixel = 1 / torch.stack([rate for _, _, rate in paths]).amax(dim=0).clamp(min=1e-12)
    slope, error = torch.zeros_like(pixel), torch.zeros_like(pixel)
    for other, (ray, shift, _) in zip(around, paths, strict=True):
        both = torch.cat([images[other], inverse[other][None]])
        steps = torch.stack([-pixel / 2, torch.zeros_like(pixel), pixel / 2])
        seen, inside, z = _sampled(both, ray, shift, inverse[view] + steps)
        hidden = (seen[1, 3] - inverse[view] / z) / pixel
        share = inside * torch.sigmoid(4 * (HIDDEN - hidden))
        gradient, apart = seen[2, :3] - seen[0, :3], seen[1, :3] - images[view]
        apart = apart - _blurred(apart * share, 2 * deviation) / _blurred(
            share[None], 2 * deviation
        ).clamp(min=1e-3)
        weight = share / (1 + (apart.abs().mean(dim=0) / OUTLIER) ** 2)
        slope = slope + weight * (gradient * gradient).sum(dim=0)
        error = error + weight * (gradient * apart).sum(dim=0)
    slope, error = _blurred(torch.stack([slope, error]), deviation)
    moved = (-error / (slope + FLAT)).clamp(-STEP, STEP) * pixel
    # A pixel that is worth half of the depth or more: the photos are too near each other to tell.
    return inverse[view] + torch.where(pixel < inverse[view] / 2, moved, 0.0)


def _projections(
    poses: Float[Tensor, "N 4 4"], k: Float[Tensor, "N 3 3"], neighbours: list[list[int]]
) -> dict[tuple[int, int], Float[Tensor, "3 4"]]:
    """Of a view and another: its pixels there (homogeneous) from pixels here and inverse depth."""
    # Cameras can be inverted: asking whether they could would wait for a device.
    camera_from_world, rays = torch.linalg.inv_ex(poses)[0], torch.linalg.inv_ex(k)[0]
    found = {}
    for view, around in enumerate(neighbours):
        for other in around:
            relative = camera_from_world[other] @ poses[view]
            turned = k[other] @ relative[:3, :3] @ rays[view]
            found[view, other] = torch.cat([turned, k[other] @ relative[:3, 3:]], dim=1).float()
    return found


def _path(
    inverse: Float[Tensor, "h w"], projection: Float[Tensor, "3 4"]
) -> tuple[Float[Tensor, "3 h w"], Float[Tensor, "3"], Float[Tensor, "h w"]]:
    """Where matches lie: ``ray + shift * inverse``, and how many pixels they move for it."""
    height, width = inverse.shape
    ray = (projection[:, :3] @ pixel_grid(height, width, inverse)).reshape(3, height, width)
    shift = projection[:, 3]
    point = ray + shift[:, None, None] * inverse
    z = point[2].clamp(min=1e-6)
    rate = (shift[:2, None, None] - point[:2] / z * shift[2]) / z
    return ray, shift, torch.hypot(rate[0], rate[1]) * (point[2] > 1e-6)


def _sampled(
    values: Float[Tensor, "C h w"],
    ray: Float[Tensor, "3 h w"],
    shift: Float[Tensor, "3"],
    inverse: Float[Tensor, "P h w"],
) -> tuple[Float[Tensor, "P C h w"], Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """Values at each hypothesis; 1 where all lie in the photo; camera-z of the middle one."""
    height, width = values.shape[-2:]
    point = ray[:, None] + shift[:, None, None, None] * inverse
    z = point[2].clamp(min=1e-6)
    x, y = point[0] / z / width * 2 - 1, point[1] / z / height * 2 - 1
    inside = ((x.abs() < 1) & (y.abs() < 1) & (point[2] > 1e-6)).all(dim=0).to(values.dtype)
    seen = functional.grid_sample(
        values[None].expand(len(inverse), -1, -1, -1),
        torch.stack([x, y], dim=-1).clamp(-2, 2),
        align_corners=False,
        padding_mode="border",
    )
    return seen, inside, z[1]


def _blurred(values: Float[Tensor, "C h w"], deviation: float) -> Float[Tensor, "C h w"]:
    """A Gaussian window over each channel; borders are continued."""
    height, width = values.shape[-2:]
    rows, columns = (_windows(side, deviation, values.device) for side in (height, width))
    return rows @ values @ columns.T


@lru_cache(maxsize=64)
def _windows(side: int, deviation: float, device: torch.device) -> Float[Tensor, "side side"]:
    """Row ``i`` weighs the places along a side for place ``i``.

    As a matrix: a CPU multiplies it several times faster than it convolves a single channel.
    """
    reach = round(3 * deviation)
    apart = torch.arange(-reach, reach + 1)
    weight = torch.exp(-0.5 * (apart / deviation) ** 2)
    place = (torch.arange(side)[:, None] + apart).clamp(0, side - 1)
    windows = torch.zeros(side, side)
    windows.scatter_add_(1, place, (weight / weight.sum()).expand(side, -1).contiguous())
    return windows.to(device)
