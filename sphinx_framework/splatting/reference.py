"""Reference renderer in plain torch: any device, any float type, differentiable.

Every Gaussian is expanded to the pixels of its bounding box, the (Gaussian, pixel) records are
sorted by pixel and depth, and each pixel's records are composited front to back.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sphinx_framework.splatting.contract import (
    ALPHA_MAX,
    ALPHA_MIN,
    TRANSMITTANCE_STOP,
    GaussianRender,
)
from sphinx_framework.splatting.harmonics import harmonic_colours
from sphinx_framework.splatting.segments import transmittance_before
from sphinx_framework.types import Cameras, Gaussians

RECORDS_PER_BAND = 2**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Splats:
    """The visible Gaussians of one view on its image plane, nearest first.

    means: pixels, centres of pixels at half-integers; covariances: ``(xx, xy, yy)`` in square
    pixels, dilated; depths: camera z.
    """

    means: Float[Tensor, "S 2"]
    covariances: Float[Tensor, "S 3"]
    depths: Float[Tensor, " S"]
    opacities: Float[Tensor, " S"]
    colours: Float[Tensor, "S 3"]


def render_torch(
    gaussians: Gaussians,
    cameras: Cameras,
    backgrounds: Float[Tensor, "V 3"],
    nears: Float[Tensor, " V"],
    dilation: float,
) -> GaussianRender:
    """Render view by view; memory is bounded by compositing bands of rows."""
    views = []
    for i in range(len(cameras)):
        splats = project(gaussians, cameras[i], float(nears[i]), dilation)
        views.append(_blend(splats, cameras.image_size, backgrounds[i]))
    images, opacity, depth = (torch.stack(parts) for parts in zip(*views, strict=True))
    return GaussianRender(images=images, opacity=opacity, depth=depth)


def project(gaussians: Gaussians, camera: Cameras, near: float, dilation: float) -> Splats:
    """Project the Gaussians of one view; drop those too near, too faint or degenerate."""
    height, width = camera.image_size
    view, k = camera.camera_from_world[0].to(gaussians.means), camera.intrinsics[0]
    fx, fy, cx, cy = (k[0, 0].item(), k[1, 1].item(), k[0, 2].item(), k[1, 2].item())
    x, y, z = (gaussians.means @ view[:3, :3].T + view[:3, 3]).unbind(dim=1)
    kept = ((z > near) & (gaussians.opacities >= ALPHA_MIN)).nonzero()[:, 0]
    x, y, z = x[kept], y[kept], z[kept]

    # Far outside the image the linearisation explodes, so its tangents are clamped (30 % margin).
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    u = (x / z).clamp(-cx / fx - margin_x, (width - cx) / fx + margin_x)
    v = (y / z).clamp(-cy / fy - margin_y, (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([fx / z, zero, -fx * u / z, zero, fy / z, -fy * v / z], dim=1)
    screen_from_world = jacobian.unflatten(1, (2, 3)) @ view[:3, :3]
    screen = screen_from_world @ gaussians.covariances[kept] @ screen_from_world.transpose(1, 2)
    xx, xy, yy = screen[:, 0, 0] + dilation, screen[:, 0, 1], screen[:, 1, 1] + dilation

    centre = camera.world_from_camera[0, :3, 3].to(gaussians.means)
    directions = torch.nn.functional.normalize(gaussians.means[kept] - centre, dim=1)
    order = z.argsort(stable=True)
    order = order[(xx * yy - xy * xy > 0)[order]]
    return Splats(
        means=torch.stack([fx * x / z + cx, fy * y / z + cy], dim=1)[order],
        covariances=torch.stack([xx, xy, yy], dim=1)[order],
        depths=z[order],
        opacities=gaussians.opacities[kept][order],
        colours=harmonic_colours(gaussians.harmonics[kept], directions)[order],
    )


def _blend(
    splats: Splats, size: tuple[int, int], background: Float[Tensor, "3"]
) -> tuple[Float[Tensor, "3 H W"], Float[Tensor, "H W"], Float[Tensor, "H W"]]:
    height, width = size
    features = torch.cat(
        [splats.colours, torch.ones_like(splats.depths)[:, None], splats.depths[:, None]], dim=1
    )
    boxes = _boxes(splats, size)
    records = int(((boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])).sum())
    bands = min(height, records // RECORDS_PER_BAND + 1)
    edges = [band * height // bands for band in range(bands + 1)]
    sums = torch.cat([_composite(splats, features, boxes, width, rows) for rows in pairwise(edges)])
    image = sums.unflatten(0, size).permute(2, 0, 1)
    colour, opacity, depth = image[:3], image[3], image[4]
    return colour + (1 - opacity) * background[:, None, None], opacity, depth


def _boxes(splats: Splats, size: tuple[int, int]) -> Int[Tensor, "S 4"]:
    """Columns and rows ``(left, right, top, bottom)``, ends excluded, that a splat may reach.

    The ellipse where ``opacity * exp(-power) >= 1/255`` has half sizes ``sqrt(2 ln(255 o) S_ii)``.
    """
    with torch.no_grad():
        limit = 2 * (splats.opacities / ALPHA_MIN).log().clamp(min=0)
        half = (limit[:, None] * splats.covariances[:, ::2]).sqrt() * (1 + 1e-4)
        ends = torch.tensor([size[1], size[0]], dtype=half.dtype, device=half.device)
        low = (splats.means - half - 0.5).ceil().clamp(min=0).minimum(ends).long()
        high = (splats.means + half + 0.5).floor().clamp(min=0).minimum(ends).long()
        high = high.maximum(low)
        return torch.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], dim=1)


def _composite(
    splats: Splats,
    features: Float[Tensor, "S F"],
    boxes: Int[Tensor, "S 4"],
    width: int,
    rows: tuple[int, int],
) -> Float[Tensor, "P F"]:
    """Weighted sums of the features over the pixels of a band of rows, row-major."""
    splat, pixel = _expand(boxes, width, rows)
    dx = splats.means[:, 0][splat] - (pixel % width + 0.5)
    dy = splats.means[:, 1][splat] - (pixel // width + (rows[0] + 0.5))
    # Completing the square keeps needles accurate, where the plain quadratic form cancels.
    xx, xy, yy = splats.covariances.unbind(dim=1)
    half_conic = 0.5 * yy / (xx * yy - xy * xy)
    power = half_conic[splat] * (dx - (xy / yy)[splat] * dy) ** 2 + (0.5 / yy)[splat] * dy**2
    alpha = (splats.opacities[splat] * torch.exp(-power)).clamp(max=ALPHA_MAX)
    reached = (alpha >= ALPHA_MIN).nonzero()[:, 0]
    # Records come nearest splat first; a stable sort by pixel keeps that order within a pixel.
    pixel, order = pixel[reached].int().sort(stable=True)
    alpha, splat = alpha[reached][order], splat[reached][order]
    before = transmittance_before(pixel, alpha)
    weight = torch.where(before * (1 - alpha) >= TRANSMITTANCE_STOP, before * alpha, 0)
    sums = features.new_zeros((rows[1] - rows[0]) * width, features.shape[1])
    return sums.index_add(0, pixel, weight[:, None] * features[splat])


def _expand(
    boxes: Int[Tensor, "S 4"], width: int, rows: tuple[int, int]
) -> tuple[Int[Tensor, " P"], Int[Tensor, " P"]]:
    """Splat index, and pixel index in the band, of every pixel of every box in the band."""
    left, right, top, bottom = boxes.unbind(dim=1)
    top, bottom = top.clamp(*rows), bottom.clamp(*rows)
    columns = right - left
    counts = columns * (bottom - top)
    splat = torch.repeat_interleave(counts)
    within = torch.arange(len(splat), device=boxes.device) - (counts.cumsum(0) - counts)[splat]
    column = left[splat] + within % columns[splat]
    row = top[splat] - rows[0] + within // columns[splat]
    return splat, row * width + column
