"""From pixels to points and back: OpenCV axes, pixel centres at half-integers."""

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.types import Cameras


def lift(cameras: Cameras, depth: Float[Tensor, "V H W"]) -> Float[Tensor, "V H W 3"]:
    """World points at the centres of all pixels.

    depth: camera z in scene units, one map per camera, of the cameras' image size or another that
        shows the same views.
    """
    height, width = depth.shape[-2:]
    rows, columns = cameras.image_size
    like = cameras.intrinsics
    y, x = torch.meshgrid(
        (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) * (rows / height),
        (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) * (columns / width),
        indexing="ij",
    )
    k = like[:, None, None]
    right = (x - k[..., 0, 2]) / k[..., 0, 0]
    down = (y - k[..., 1, 2]) / k[..., 1, 1]
    local = torch.stack([right, down, torch.ones_like(right)], dim=-1) * depth[..., None]
    pose = cameras.world_from_camera[:, None, None]
    points: Tensor = (pose[..., :3, :3] @ local[..., None])[..., 0] + pose[..., :3, 3]
    return points


def project(
    cameras: Cameras, points: Float[Tensor, "P 3"]
) -> tuple[Float[Tensor, "V P 2"], Float[Tensor, "V P"]]:
    """Image positions ``(x, y)`` in pixels and camera z of world points in every camera.

    Positions of points that are not in front of a camera (z <= 0) mean nothing.
    """
    pose, k = cameras.camera_from_world, cameras.intrinsics
    local = points @ pose[:, :3, :3].transpose(1, 2) + pose[:, None, :3, 3]
    z = local[..., 2]
    across = local[..., :2] / torch.where(z == 0, torch.ones_like(z), z)[..., None]
    places = across * k[:, None, [0, 1], [0, 1]] + k[:, None, :2, 2]
    return places, z
