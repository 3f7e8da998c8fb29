"""Render a coloured point cloud from many cameras: small discs, a few nearest per pixel.

The model of PyTorch3D's points renderer with alpha compositing, as ViewCrafter uses it: every point
is a disc of fixed radius in pixels whose opacity falls from 1 in its centre to 0 at its rim; each
pixel composites its nearest few points front to back over black.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sphinx_framework.splatting.segments import run_starts
from sphinx_framework.types import Cameras

RECORDS_PER_BATCH = 2**22


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRender:
    """Rendered views.

    images: colours over black; premultiplied by the opacity unless asked for otherwise.
    opacity: in [0, 1]. depth: sum of weight times camera z, 0 where empty.
    """

    images: Float[Tensor, "V C H W"]
    opacity: Float[Tensor, "V H W"]
    depth: Float[Tensor, "V H W"]


def render_points(
    points: Float[Tensor, "P 3"],
    colours: Float[Tensor, "P C"],
    cameras: Cameras,
    *,
    radius: float = 0.01,
    points_per_pixel: int = 10,
    premultiplied: bool = True,
) -> PointRender:
    """Render all cameras, as many at once as memory allows.

    Args:
        points: world coordinates; those at or behind a camera's plane are not drawn.
        colours: RGB in [0, 1], or any other channels to splat.
        cameras: any number of views of one image size.
        radius: of every disc, in units of half the shorter image side.
        points_per_pixel: nearest points a pixel composites; farther ones are ignored.
        premultiplied: ``False`` divides the colours by the opacity (0 stays 0 where empty).

    Returns:
        Views on the points' device.
    """
    height, width = cameras.image_size
    reach = radius * min(height, width) / 2
    window = math.ceil(2 * reach)
    per_view = max(1, len(points) * window * window)
    batch = max(1, RECORDS_PER_BATCH // per_view)
    here = cameras.to(points.device)
    parts = [
        _render_batch(points, colours, here[start : start + batch], reach, points_per_pixel)
        for start in range(0, len(cameras), batch)
    ]
    sums = torch.cat(parts) if parts else points.new_zeros(0, colours.shape[1] + 2, height, width)
    images, opacity, depth = sums[:, :-2], sums[:, -2], sums[:, -1]
    if not premultiplied:
        images = torch.where(opacity[:, None] > 0, images / opacity[:, None], images)
    return PointRender(images=images, opacity=opacity, depth=depth)


def _render_batch(
    points: Float[Tensor, "P 3"],
    colours: Float[Tensor, "P C"],
    cameras: Cameras,
    reach: float,
    points_per_pixel: int,
) -> Float[Tensor, "V D H W"]:
    """Sums of colour, weight and weighted depth over the nearest points of every pixel."""
    height, width = cameras.image_size
    point, z, pixel, alpha = _hits(points, cameras, reach)
    pixel, order = pixel.int().sort(stable=True)
    rank = torch.arange(len(pixel), device=pixel.device) - run_starts(pixel)
    near = rank < points_per_pixel
    pixel, rank, order = pixel[near].long(), rank[near], order[near]
    point, z, alpha = point[order], z[order], alpha[order]

    pixels = len(cameras) * height * width
    table = alpha.new_zeros(pixels, points_per_pixel)
    table[pixel, rank] = alpha
    light = torch.cat([torch.ones_like(table[:, :1]), (1 - table[:, :-1]).cumprod(dim=1)], dim=1)
    weight = light[pixel, rank] * alpha
    values = torch.cat([colours[point], torch.ones_like(z)[:, None], z[:, None]], dim=1)
    # Sums of runs: unlike additions by index they come in the same order in every run on a GPU.
    sums = torch.segment_reduce(
        weight[:, None] * values, "sum", lengths=pixel.bincount(minlength=pixels), unsafe=True
    )
    return sums.unflatten(0, (len(cameras), height, width)).permute(0, 3, 1, 2)


def _hits(
    points: Float[Tensor, "P 3"], cameras: Cameras, reach: float
) -> tuple[
    Int[Tensor, " K"],
    Float[Tensor, " K"],
    Int[Tensor, " K"],
    Float[Tensor, " K"],
]:
    """Every (point, pixel) pair of every view: point, camera z, pixel and opacity.

    Pairs of a view come nearest point first, equal depths by index; pixels count through all views.
    """
    height, width = cameras.image_size
    pose, k = cameras.camera_from_world.to(points), cameras.intrinsics.to(points)
    local = points @ pose[:, :3, :3].transpose(1, 2) + pose[:, None, :3, 3]  # [V, P, 3]
    depth, nearest = local[..., 2].sort(dim=1, stable=True)
    across = local[..., :2] / local[..., 2:].where(local[..., 2:] > 0, 1)
    place = across * k[:, None, [0, 1], [0, 1]] + k[:, None, :2, 2]
    place = place.gather(1, nearest[..., None].expand(-1, -1, 2))

    ends = place.new_tensor([width, height])
    seen = ((place > -reach) & (place < ends + reach)).all(dim=2) & (depth > 0)
    view, row = seen.nonzero().unbind(dim=1)
    place, z, point = place[view, row], depth[view, row], nearest[view, row]
    steps = torch.arange(math.ceil(2 * reach), device=points.device)
    first = (place - reach - 0.5).ceil().long()
    x, y = (first[:, :1] + steps)[:, None, :], (first[:, 1:] + steps)[:, :, None]
    distance = (place[:, 0, None, None] - x - 0.5) ** 2 + (place[:, 1, None, None] - y - 0.5) ** 2
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (distance < reach**2)
    record, dy, dx = inside.nonzero().unbind(dim=1)
    column, line = x[record, 0, dx], y[record, dy, 0]
    pixel = (view[record] * height + line) * width + column
    alpha = 1 - distance[record, dy, dx] / reach**2
    return point[record], z[record], pixel, alpha
