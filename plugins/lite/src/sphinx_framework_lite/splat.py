"""Splats one posed depth map into other views: colour, coverage and depth, with a soft z-test.

Every source pixel becomes a round Gaussian footprint as large as the pixel appears in the target.
A first pass finds the front surface, a second one blends what lies on it.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numba import njit
from torch import Tensor
from torch.nn import functional

# Standard deviation of a footprint over its size, and where it is cut.
FOOTPRINT, CUT = 0.42, 1.25
# A cell is covered by this share of a full surface's weight, so that slanted surfaces, whose
# footprints lie farther apart, have no gaps.
COVERED = 0.4
MAX_RADIUS = 4.0
# Points farther than this fraction behind the front surface are hidden.
HIDDEN = 0.04
# Points less confident than this do not hide others.
SOLID = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Splats:
    """One source seen from each target; ``opacity`` is coverage times confidence, in [0, 1].

    images are zero and depth is 0 where nothing landed.
    """

    images: Float[Tensor, "T 3 H W"]
    opacity: Float[Tensor, "T H W"]
    depth: Float[Tensor, "T H W"]


@njit(cache=True, nogil=True)
def _splat(
    points: Any, colours: Any, certain: Any, extent: Any, matrix: Any, k: Any, out: Any
) -> None:
    """Splat ``[P, 3]`` world points into one target.

    out: ``[6, H, W]``, sums of weighted rgb, of weights, of weighted depth, and of footprints.
    """
    height, width = out.shape[1], out.shape[2]
    front = np.full((height, width), 1e30, np.float32)
    for sweep in range(2):
        for p in range(points.shape[0]):
            if certain[p] < (SOLID if sweep == 0 else 0.01):
                continue
            px, py, pz = points[p, 0], points[p, 1], points[p, 2]
            z = matrix[2, 0] * px + matrix[2, 1] * py + matrix[2, 2] * pz + matrix[2, 3]
            if z < 1e-6:
                continue
            x = matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2] * pz + matrix[0, 3]
            y = matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2] * pz + matrix[1, 3]
            u, v = k[0, 0] * x / z + k[0, 2], k[1, 1] * y / z + k[1, 2]
            size = min(max(extent[p] * k[0, 0] / z, 0.8), MAX_RADIUS)
            reach = 0.6 * size if sweep == 0 else CUT * size
            if u < -reach or v < -reach or u > width + reach or v > height + reach:
                continue
            first_row, last_row = (
                int(max(0, math.ceil(v - reach - 0.5))),
                int(min(height - 1, math.floor(v + reach - 0.5))),
            )
            first, last = (
                int(max(0, math.ceil(u - reach - 0.5))),
                int(min(width - 1, math.floor(u + reach - 0.5))),
            )
            for row in range(first_row, last_row + 1):
                for column in range(first, last + 1):
                    if sweep == 0:
                        front[row, column] = min(front[row, column], z)
                        continue
                    if z > front[row, column] * (1 + HIDDEN):
                        continue
                    du, dv = (column + 0.5 - u) / size, (row + 0.5 - v) / size
                    bell = math.exp(-0.5 * (du * du + dv * dv) / (FOOTPRINT * FOOTPRINT))
                    bell /= 2 * math.pi * FOOTPRINT * FOOTPRINT
                    w = certain[p] * bell
                    for c in range(3):
                        out[c, row, column] += w * colours[p, c]
                    out[3, row, column] += w
                    out[4, row, column] += w * z
                    out[5, row, column] += bell


def splat_view(
    image: Float[Tensor, "3 H W"],
    depth: Float[Tensor, "H W"],
    confidence: Float[Tensor, "H W"],
    world_from_camera: Float[Tensor, "4 4"],
    intrinsics: Float[Tensor, "3 3"],
    targets: Float[Tensor, "T 4 4"],
    target_intrinsics: Float[Tensor, "T 3 3"],
    size: tuple[int, int],
) -> Splats:
    """Render one source view at every target.

    Args:
        image: colours in [0, 1] of the source.
        depth: its camera-z.
        confidence: in [0, 1]; scales what a pixel contributes, hence the opacity.
        world_from_camera: the source's pose.
        intrinsics: of the source, in pixels of ``image``.
        targets: poses of the targets.
        target_intrinsics: in pixels of ``size``.
        size: ``(height, width)`` of the renders.

    Returns:
        Colours, opacity and depth of the source's surfaces at the targets.
    """
    from sphinx_framework_lite.geometry import pixel_grid

    height, width = depth.shape
    grid = pixel_grid(height, width, depth)
    local = torch.linalg.inv(intrinsics.double()).to(depth) @ grid * depth.reshape(1, -1)
    points = (world_from_camera[:3, :3] @ local + world_from_camera[:3, 3:]).T
    extent = depth.reshape(-1) / intrinsics[0, 0]
    rendered = np.zeros((len(targets), 6, *size), np.float32)
    inverse = torch.linalg.inv(targets.double()).cpu().numpy()
    k = target_intrinsics.double().cpu().numpy()
    values = (
        np.ascontiguousarray(points.double().cpu().numpy()),
        np.ascontiguousarray(image.reshape(3, -1).T.float().cpu().numpy()),
        np.ascontiguousarray(confidence.reshape(-1).float().cpu().numpy()),
        np.ascontiguousarray(extent.double().cpu().numpy()),
    )
    for target in range(len(targets)):
        _splat(*values, inverse[target], k[target], rendered[target])
    out = torch.from_numpy(rendered).to(image.device)
    weight = out[:, 3].clamp(min=1e-6)
    landed = out[:, 3] > 0.005
    certain = out[:, 3] / out[:, 5].clamp(min=1e-6)
    opacity = certain * (out[:, 5] / COVERED).clamp(max=1.0)
    return Splats(
        images=torch.where(landed[:, None], out[:, :3] / weight[:, None], 0.0).clamp(0, 1),
        opacity=torch.where(landed, opacity.clamp(0, 1), 0.0),
        depth=torch.where(landed, out[:, 4] / weight, 0.0),
    )


def fuse(sources: list[Splats], closeness: Float[Tensor, "S T"]) -> Splats:
    """Blend the renders of several sources; what lies behind another source's surface fades.

    closeness: weight of each source at each target (larger = nearer camera).

    Where two sources show the same place in different colours, one of them is wrong: opacity falls.
    """
    opacity = torch.stack([s.opacity for s in sources])
    depth = torch.stack([s.depth for s in sources])
    images = torch.stack([s.images for s in sources])
    solid = torch.where(opacity > SOLID, depth, torch.full_like(depth, 1e30))
    front = solid.amin(dim=0)
    front = torch.where(front > 1e29, depth.amax(dim=0), front).clamp(min=1e-9)
    behind = (depth / front - 1).clamp(min=0)
    visible = opacity * torch.exp(-behind / HIDDEN)
    weight = visible * closeness[:, :, None, None] + 1e-9 * (opacity > 0)
    total = weight.sum(dim=0).clamp(min=1e-12)
    share = weight / total
    colour = (share[:, :, None] * images).sum(dim=0)
    dispute = (share * (images - colour).abs().mean(dim=2)).sum(dim=0)
    covered = 1 - (1 - visible).prod(dim=0)
    trust = torch.exp(-5 * (dispute - 0.04).clamp(min=0))
    return Splats(
        images=colour, opacity=covered * trust, depth=(share * depth).sum(dim=0) * (total > 1e-8)
    )


def fill_holes(
    images: Float[Tensor, "T C H W"], opacity: Float[Tensor, "T H W"]
) -> Float[Tensor, "T C H W"]:
    """Push-pull: where opacity is low, colours come from ever coarser weighted means."""
    weight = opacity[:, None].clamp(0, 1)
    pyramid = [(images * weight, weight)]
    while min(pyramid[-1][0].shape[-2:]) > 1:
        colour, mass = pyramid[-1]
        pyramid.append(
            (
                functional.avg_pool2d(colour, 2, ceil_mode=True),
                functional.avg_pool2d(mass, 2, ceil_mode=True),
            )
        )
    colour, mass = pyramid[-1]
    filled = colour / mass.clamp(min=1e-6)
    for colour, mass in reversed(pyramid[:-1]):
        coarse = functional.interpolate(filled, colour.shape[-2:], mode="bilinear")
        keep = (mass * 4).clamp(max=1.0)
        filled = keep * colour / mass.clamp(min=1e-6) + (1 - keep) * coarse
    return filled
