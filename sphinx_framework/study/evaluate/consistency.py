"""Temporal consistency: how well neighbouring frames agree about the surfaces they share."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sphinx_framework.protocols import Embedder
from sphinx_framework.types import Cameras

DEPTH_AGREEMENT = 0.03
SMALLEST_SHARE = 0.05


def warped_difference(
    images: Float[Tensor, "T 3 H W"], depth: Float[Tensor, "T H W"], cameras: Cameras
) -> Float[Tensor, " T"]:
    """Mean absolute difference of every frame to its predecessor, warped by depth and cameras.

    Only pixels whose surface both frames see count; NaN for the first frame and where fewer than
    5 % of the pixels do. The order of the targets is the order in time.
    """
    result = torch.full((len(images),), float("nan"))
    for now in range(1, len(images)):
        before = now - 1
        grid, seen_depth = _reproject(depth[now], cameras, now, before)
        sampled = F.grid_sample(
            torch.cat([images[before], depth[before][None]])[None], grid, align_corners=False
        )[0]
        inside = (grid[0].abs() < 1).all(-1) & (depth[now] > 0) & (seen_depth > 0)
        agree = (sampled[3] - seen_depth).abs() < DEPTH_AGREEMENT * seen_depth
        shared = inside & agree
        if float(shared.float().mean()) >= SMALLEST_SHARE:
            difference = (images[now] - sampled[:3]).abs().mean(0)
            result[now] = difference[shared].mean()
    return result


def _reproject(
    depth: Float[Tensor, "H W"], cameras: Cameras, source: int, target: int
) -> tuple[Float[Tensor, "1 H W 2"], Float[Tensor, "H W"]]:
    """Where the pixels of one camera lie in another: sampling grid, and depth there."""
    height, width = cameras.image_size
    v, u = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    pixels = torch.stack([u, v, torch.ones_like(u)]).flatten(1)
    points = torch.linalg.inv(cameras.intrinsics[source]) @ pixels * depth.flatten()
    world = cameras.world_from_camera[source]
    into = cameras.camera_from_world[target]
    points = into[:3, :3] @ (world[:3, :3] @ points + world[:3, 3:]) + into[:3, 3:]
    projected = cameras.intrinsics[target] @ points
    place = projected[:2] / projected[2].clamp(min=1e-6)
    scale = torch.tensor([2 / width, 2 / height])[:, None]
    grid = (place * scale - 1).T.reshape(1, height, width, 2)
    return grid, points[2].reshape(height, width)


@torch.no_grad()
def feature_difference(
    images: Float[Tensor, "T 3 H W"], embedder: Embedder, device: torch.device
) -> Float[Tensor, " T"]:
    """One minus the cosine of every frame's embedding to its predecessor's; NaN for the first.

    Needs no depth. It also rises with the motion of the camera, so compare it on one scene only.
    """
    result = torch.full((len(images),), float("nan"))
    vectors = [embedder.embed(image[None].to(device)).float().cpu() for image in images]
    for now in range(1, len(vectors)):
        cosine = F.cosine_similarity(vectors[now - 1], vectors[now], dim=0)
        result[now] = (1 - cosine).clamp(min=0)
    return result
