"""Unit quaternions ``(w, x, y, z)``, rotation matrices and their angles, in batches."""

import torch
from jaxtyping import Float
from torch import Tensor


def quaternions_from_matrices(rotations: Float[Tensor, "V 3 3"]) -> Float[Tensor, "V 4"]:
    """Unit quaternions with ``w >= 0`` of rotation matrices.

    The four candidates ``4 q_i q`` are all exact; the one with the largest diagonal entry divides
    by the largest component and is therefore accurate for every angle.
    """
    m = rotations
    xx, yy, zz = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]
    wx, wy, wz = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    xy, xz, yz = m[:, 0, 1] + m[:, 1, 0], m[:, 0, 2] + m[:, 2, 0], m[:, 1, 2] + m[:, 2, 1]
    rows = [
        torch.stack([1 + xx + yy + zz, wx, wy, wz], dim=1),
        torch.stack([wx, 1 + xx - yy - zz, xy, xz], dim=1),
        torch.stack([wy, xy, 1 - xx + yy - zz, yz], dim=1),
        torch.stack([wz, xz, yz, 1 - xx - yy + zz], dim=1),
    ]
    candidates = torch.stack(rows, dim=1)  # [V, 4, 4]
    best = candidates.diagonal(dim1=1, dim2=2).argmax(dim=1)
    chosen = candidates[torch.arange(len(m), device=m.device), best]
    unit = torch.nn.functional.normalize(chosen, dim=1)
    return torch.where(unit[:, :1] < 0, -unit, unit)


def matrices_from_quaternions(quaternions: Float[Tensor, "V 4"]) -> Float[Tensor, "V 3 3"]:
    """Rotation matrices of quaternions of any non-zero length."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=1).unbind(dim=1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], dim=1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], dim=1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=1),
    ]
    return torch.stack(rows, dim=1)


def slerp(
    start: Float[Tensor, "4"], end: Float[Tensor, "4"], weights: Float[Tensor, " T"]
) -> Float[Tensor, "T 4"]:
    """Rotate from ``start`` to ``end`` along the shorter arc at constant speed.

    weights: 0 gives ``start``, 1 gives ``end``.
    """
    cosine = torch.dot(start, end)
    end = torch.where(cosine < 0, -end, end)
    angle = torch.acos(cosine.abs().clamp(max=1))
    if float(angle) < 1e-6:
        mixed = start + weights[:, None] * (end - start)
    else:
        first = torch.sin((1 - weights) * angle)[:, None] * start
        mixed = first + torch.sin(weights * angle)[:, None] * end
    return torch.nn.functional.normalize(mixed, dim=1)


def rotation_angles(
    first: Float[Tensor, "*b 3 3"], second: Float[Tensor, "*b 3 3"]
) -> Float[Tensor, "*b"]:
    """Angle between two rotations in radians."""
    trace = (first.transpose(-1, -2) @ second).diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.acos(((trace - 1) / 2).clamp(-1, 1))
