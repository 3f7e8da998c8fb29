"""The inputs' pixels as 3-D Gaussians, to take a scene into other viewers."""

import torch
from torch.nn import functional

from sphinx_framework.splatting.harmonics import harmonics_from_colours
from sphinx_framework.types import Gaussians, Scene
from sphinx_framework_lite.geometry import pixel_grid, scaled_intrinsics
from sphinx_framework_lite.predict import InputDepth

# A file of this many Gaussians is 17 MB; larger photos are lifted at a lower resolution.
MOST = 250_000
# Standard deviation over the distance of neighbouring pixels, and the least confident pixel kept.
FOOTPRINT, DOUBTFUL = 0.4, 0.1
DENSEST = 0.95


def lifted_gaussians(scene: Scene, found: InputDepth) -> Gaussians:
    """A round Gaussian per pixel of every input at its depth; opacity is the depth's confidence."""
    count, _, height, width = scene.images.shape
    shrink = max(1.0, (count * height * width / MOST) ** 0.5)
    size = (max(1, int(height / shrink)), max(1, int(width / shrink)))
    maps = torch.cat(
        [scene.images, (1 / found.depth)[:, None], found.confidence[:, None]], dim=1
    ).float()
    if size != (height, width):
        maps = functional.interpolate(maps, size, mode="area")
    k = scaled_intrinsics(scene.inputs, size)
    depth = (1 / maps[:, 3]).flatten(1)
    grid = pixel_grid(*size, depth)
    local = (torch.linalg.inv(k.double()).to(depth) @ grid) * depth[:, None]
    poses = scene.inputs.world_from_camera
    points = (poses[:, :3, :3] @ local + poses[:, :3, 3:]).transpose(1, 2).flatten(0, 1)
    scale = (FOOTPRINT * depth / k[:, 0, 0, None]).flatten()
    colours = maps[:, :3].flatten(2).transpose(1, 2).flatten(0, 1)
    opacity = maps[:, 4].flatten()
    kept = opacity > DOUBTFUL
    points, scale, colours, opacity = points[kept], scale[kept], colours[kept], opacity[kept]
    eye = torch.eye(3, dtype=points.dtype, device=points.device)
    upright = points.new_tensor([1.0, 0.0, 0.0, 0.0]).expand(len(points), 4)
    return Gaussians(
        means=points,
        covariances=scale.square()[:, None, None] * eye,
        harmonics=harmonics_from_colours(colours),
        opacities=(DENSEST * opacity).clamp(0, 1),
        scales=scale[:, None].expand(-1, 3),
        rotations=upright,
    )
