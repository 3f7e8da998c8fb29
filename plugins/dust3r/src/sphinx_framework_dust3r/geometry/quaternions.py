"""Rotations as quaternions (x, y, z, w)."""

import torch
from jaxtyping import Float
from torch import Tensor


def rotation_from_quaternion(quaternion: Float[Tensor, "*N 4"]) -> Float[Tensor, "*N 3 3"]:
    """Rotation matrices of quaternions (x, y, z, w) of any length but 0."""
    x, y, z, w = torch.nn.functional.normalize(quaternion, dim=-1).unbind(-1)
    xx, yy, zz, ww = x * x, y * y, z * z, w * w
    xy, zw, xz, yw, yz, xw = x * y, z * w, x * z, y * w, y * z, x * w
    entries = (
        xx - yy - zz + ww, 2 * (xy - zw), 2 * (xz + yw),
        2 * (xy + zw), -xx + yy - zz + ww, 2 * (yz - xw),
        2 * (xz - yw), 2 * (yz + xw), -xx - yy + zz + ww,
    )  # fmt: skip
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


def quaternion_from_rotation(rotation: Float[Tensor, "*N 3 3"]) -> Float[Tensor, "*N 4"]:
    """Unit quaternions (x, y, z, w), ``w >= 0``, of rotation matrices.

    The eigenvector of the largest eigenvalue of Bar-Itzhack's symmetric 4x4 matrix: accurate for
    every angle, and the nearest rotation where the matrix is only nearly one.
    """
    r = rotation.double()
    xx, yy, zz = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    xy, xz, yz = (
        r[..., 0, 1] + r[..., 1, 0],
        r[..., 0, 2] + r[..., 2, 0],
        r[..., 1, 2] + r[..., 2, 1],
    )
    ax, ay, az = (
        r[..., 2, 1] - r[..., 1, 2],
        r[..., 0, 2] - r[..., 2, 0],
        r[..., 1, 0] - r[..., 0, 1],
    )
    entries = (
        xx - yy - zz, xy, xz, ax,
        xy, yy - xx - zz, yz, ay,
        xz, yz, zz - xx - yy, az,
        ax, ay, az, xx + yy + zz,
    )  # fmt: skip
    matrix = torch.stack(entries, dim=-1).unflatten(-1, (4, 4))
    quaternion = torch.linalg.eigh(matrix).eigenvectors[..., -1]
    upright = torch.where(quaternion[..., 3:] < 0, -quaternion, quaternion)
    return upright.to(rotation.dtype)
