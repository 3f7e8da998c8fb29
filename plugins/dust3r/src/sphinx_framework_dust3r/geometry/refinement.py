"""A camera pose fitted to the pixels that its points are seen at (reweighted Gauss-Newton)."""

import torch
from jaxtyping import Float
from torch import Tensor

ITERATIONS = 10
SHORTEST_DISTANCE = 0.5
FEWEST_POINTS = 4


def refine_pose(
    camera_from_points: Float[Tensor, "4 4"],
    points: Float[Tensor, "P 3"],
    pixels: Float[Tensor, "P 2"],
    intrinsics: Float[Tensor, "3 3"],
    *,
    reach: float,
) -> Float[Tensor, "4 4"]:
    """The pose near the given one of the smallest summed distance, in pixels, to ``pixels``.

    Distances and not squares, because errors of depth give them long tails. In every iteration
    only points in front of the camera that project within ``reach`` of their pixel count. The
    search ends where these do not determine a step.
    """
    pose = camera_from_points
    for _ in range(ITERATIONS):
        local = points @ pose[:3, :3].T + pose[:3, 3]
        residuals = local[:, :2] / local[:, 2:] * intrinsics.diagonal()[:2] + intrinsics[:2, 2]
        residuals = residuals - pixels
        distances = torch.linalg.vector_norm(residuals, dim=-1)
        used = (local[:, 2] > 0) & (distances < reach)
        if int(used.sum()) < FEWEST_POINTS:
            break
        slopes = _slopes(local[used], intrinsics)
        weighted = slopes / distances[used].clamp(min=SHORTEST_DISTANCE)[:, None, None]
        normal = torch.einsum("pki,pkj->ij", weighted, slopes)
        towards = torch.einsum("pki,pk->i", weighted, residuals[used])
        step, failed = torch.linalg.solve_ex(normal, -towards)
        if bool(failed) or not bool(torch.isfinite(step).all()):
            break
        pose = _motion(step) @ pose
    return pose


def _slopes(
    local: Float[Tensor, "P 3"], intrinsics: Float[Tensor, "3 3"]
) -> Float[Tensor, "P 2 6"]:
    """Derivatives of the image positions of camera points by a small turn and shift of them."""
    across, depth = local[:, :2], local[:, 2, None]
    by_point = torch.cat(
        (torch.eye(2).to(local).expand(len(local), 2, 2), -across[..., None] / depth[..., None]),
        dim=-1,
    )
    by_point = by_point * (intrinsics.diagonal()[:2, None] / depth[..., None])
    by_turn = torch.linalg.cross(local[:, None].expand_as(by_point), by_point)
    return torch.cat((by_turn, by_point), dim=-1)


def _motion(step: Float[Tensor, "6"]) -> Float[Tensor, "4 4"]:
    """The rigid motion of a rotation vector and a shift."""
    twist = step.new_zeros(4, 4)
    twist[[2, 0, 1], [1, 2, 0]] = step[:3]
    twist[[1, 2, 0], [2, 0, 1]] = -step[:3]
    twist[:3, 3] = step[3:]
    return torch.linalg.matrix_exp(twist)
