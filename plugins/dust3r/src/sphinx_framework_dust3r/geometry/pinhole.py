"""Pixel grids, unprojection and projection, rigid transforms of point arrays."""

import torch
from jaxtyping import Float
from torch import Tensor


def pixel_grid(
    size: tuple[int, int], pixel_centre: float, device: torch.device
) -> Float[Tensor, "H W 2"]:
    """Image positions (u, v) of the pixels, the first one's centre at ``pixel_centre``."""
    rows = torch.arange(size[0], dtype=torch.float32, device=device) + pixel_centre
    columns = torch.arange(size[1], dtype=torch.float32, device=device) + pixel_centre
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((u, v), dim=-1)


def unproject(
    depth: Float[Tensor, "*N H W"],
    grid: Float[Tensor, "H W 2"],
    focals: Float[Tensor, "*N 2"],
    principal_points: Float[Tensor, "*N 2"],
) -> Float[Tensor, "*N H W 3"]:
    """Camera points of depth maps: ``[d (grid - pp) / f, d]``."""
    offset = grid - principal_points[..., None, None, :]
    across = depth[..., None] * offset / focals[..., None, None, :]
    return torch.cat((across, depth[..., None]), dim=-1)


def project(
    points: Float[Tensor, "*any 3"],
    focals: Float[Tensor, "2"],
    principal_point: Float[Tensor, "2"],
) -> Float[Tensor, "*any 2"]:
    """Image positions of camera points; points at depth 0 land at infinity or NaN."""
    return points[..., :2] / points[..., 2:] * focals + principal_point


def transform(
    pose: Float[Tensor, "*N 4 4"], points: Float[Tensor, "*N H W 3"]
) -> Float[Tensor, "*N H W 3"]:
    """Apply 4x4 transforms to their point arrays."""
    columns = pose.transpose(-1, -2)
    moved = points.flatten(-3, -2) @ columns[..., :3, :] + columns[..., 3:, :]
    return moved[..., :3].unflatten(-2, points.shape[-3:-1])


def inverse_pose(pose: Float[Tensor, "*N 4 4"]) -> Float[Tensor, "*N 4 4"]:
    """Inverse of rigid transforms."""
    rotation = pose[..., :3, :3].transpose(-1, -2)
    translation = -(rotation @ pose[..., :3, 3:])
    return rigid(rotation, translation[..., 0])


def rigid(
    rotation: Float[Tensor, "*N 3 3"], translation: Float[Tensor, "*N 3"]
) -> Float[Tensor, "*N 4 4"]:
    """4x4 transforms from rotations and translations."""
    upper = torch.cat((rotation, translation[..., None]), dim=-1)
    # Made on the device: a copy from the host would make the optimiser wait at every step.
    bottom = torch.eye(4, dtype=upper.dtype, device=upper.device)[3:]
    bottom = bottom.expand(*upper.shape[:-2], 1, 4)
    return torch.cat((upper, bottom), dim=-2)


def intrinsic_matrices(
    focals: Float[Tensor, "N 2"], principal_points: Float[Tensor, "N 2"]
) -> Float[Tensor, "N 3 3"]:
    """``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]``."""
    matrices = torch.diag_embed(torch.cat((focals, torch.ones_like(focals[:, :1])), dim=-1))
    matrices[:, :2, 2] = principal_points
    return matrices
