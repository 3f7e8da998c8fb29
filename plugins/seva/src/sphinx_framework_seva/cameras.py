"""Camera normalisation and Pluecker maps."""

import torch
from jaxtyping import Float
from torch import Tensor

OUTLIER_FACTOR = 10.0
OUTLIER_QUANTILE = 0.97
FARTHEST = 1e6
CENTRAL = 1e-5


def normalised_poses(
    clip: Float[Tensor, "T 4 4"], scene: Float[Tensor, "V 4 4"], camera_scale: float = 2.0
) -> Float[Tensor, "T 4 4"]:
    """Centre the clip's cameras on the scene, and scale so that frame 0 has a fixed distance.

    Args:
        clip: camera-to-world matrices of the clip's frames; frame 0 sets the scale.
        scene: those of all cameras of the scene; far outliers do not count for the centre.
        camera_scale: distance of frame 0 from the centre afterwards.
    """
    centres = scene[:, :3, 3]
    distance = (centres - centres.median(dim=0).values).norm(dim=1)
    limit = min(OUTLIER_FACTOR * float(distance.quantile(OUTLIER_QUANTILE)), FARTHEST)
    poses = clip.clone()
    poses[:, :3, 3] -= centres[distance <= limit].mean(dim=0)
    radius = float(poses[0, :3, 3].norm())
    poses[:, :3, 3] *= camera_scale if radius <= CENTRAL else camera_scale / radius
    return poses


def normalised_intrinsics(
    intrinsics: Float[Tensor, "T 3 3"], image_size: tuple[int, int]
) -> Float[Tensor, "T 3 3"]:
    """Pixel intrinsics divided by the image's width and height."""
    height, width = image_size
    return intrinsics / intrinsics.new_tensor([[width], [height], [1.0]])


def pluecker_maps(
    poses: Float[Tensor, "T 4 4"], intrinsics: Float[Tensor, "T 3 3"], latent_size: tuple[int, int]
) -> Float[Tensor, "T 6 h w"]:
    """Ray direction and moment (origin x direction) of every latent cell, in camera 0's axes.

    Args:
        poses: camera-to-world matrices after :func:`normalised_poses`.
        intrinsics: normalised (see :func:`normalised_intrinsics`).
        latent_size: ``(height, width)`` of the maps.
    """
    height, width = latent_size
    relative = torch.linalg.inv(poses[:1]) @ poses
    rows = torch.arange(height).to(poses) + 0.5
    columns = torch.arange(width).to(poses) + 0.5
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    cells = torch.stack([x, y, torch.ones_like(x)])
    scaled = intrinsics * intrinsics.new_tensor([[width], [height], [1.0]])
    local = torch.einsum("tij,jhw->tihw", torch.linalg.inv(scaled), cells)
    direction = torch.einsum("tij,tjhw->tihw", relative[:, :3, :3], local)
    direction = direction / direction.norm(dim=1, keepdim=True)
    origin = relative[:, :3, 3, None, None].expand_as(direction)
    return torch.cat([direction, torch.linalg.cross(origin, direction, dim=1)], dim=1)
