"""Cameras as the network sees them: one frame for a scene, Pluecker rays."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.types import Cameras

SCENE_SCALE_FACTOR = 1.35
# Below this the mean of unit vectors has no direction: cameras look at each other.
NO_DIRECTION = 1e-6
# All cameras closer together than this share of their distance to the origin: no scale.
NO_EXTENT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The coordinate frame of a scene. Everything encoded is valid in its own frame only.

    world_from_frame: rigid, float64, without the scale. unit: its unit of length, in scene units.
    """

    world_from_frame: Float[Tensor, "4 4"]
    unit: float

    def poses(self, world_from_camera: Float[Tensor, "*V 4 4"]) -> Float[Tensor, "*V 4 4"]:
        """Camera-to-frame matrices in the frame's unit, float64."""
        base = self.world_from_frame.to(world_from_camera.device)
        poses = torch.linalg.solve(base, world_from_camera.double())
        poses[..., :3, 3] /= self.unit
        return poses


def frame_of(world_from_camera: Float[Tensor, "V 4 4"]) -> Frame:
    """The mean camera as origin and axes; the farthest coordinate of a centre is 1 / 1.35.

    Where the mean of the axes has no direction, the first camera gives them; where all centres
    coincide, the unit is the scene's.
    """
    poses = world_from_camera.double()
    centre = poses[:, :3, 3].mean(0)
    forward, down = poses[:, :3, 2].mean(0), poses[:, :3, 1].mean(0)
    right = torch.linalg.cross(down, forward)
    if min(float(forward.norm()), float(right.norm())) < NO_DIRECTION:
        forward, down = poses[0, :3, 2], poses[0, :3, 1]
        right = torch.linalg.cross(down, forward)
    forward, right = forward / forward.norm(), right / right.norm()
    down = torch.linalg.cross(forward, right)
    base = torch.eye(4, dtype=torch.float64, device=poses.device)
    base[:3] = torch.stack((right, down / down.norm(), forward, centre), dim=1)
    placed = torch.linalg.solve(base, poses)
    extent = float(placed[:, :3, 3].abs().max())
    smallest = NO_EXTENT * max(1.0, float(centre.abs().max()))
    unit = SCENE_SCALE_FACTOR * extent if extent > smallest else 1.0
    return Frame(world_from_frame=base, unit=unit)


def rays(
    poses: Float[Tensor, "*V 4 4"], intrinsics: Float[Tensor, "*V 3 3"], size: tuple[int, int]
) -> tuple[Float[Tensor, "*V 3"], Float[Tensor, "*V 3 H W"]]:
    """Origins and unit directions through the centres of all pixels (row-major)."""
    height, width = size
    x = torch.arange(width, dtype=poses.dtype, device=poses.device) + 0.5
    y = torch.arange(height, dtype=poses.dtype, device=poses.device) + 0.5
    intrinsics = intrinsics.to(poses)[..., None, None, :, :]
    across = (x[None, :] - intrinsics[..., 0, 2]) / intrinsics[..., 0, 0]
    along = (y[:, None] - intrinsics[..., 1, 2]) / intrinsics[..., 1, 1]
    across, along = torch.broadcast_tensors(across, along)
    local = torch.stack((across, along, torch.ones_like(across)), dim=-3)
    directions = torch.einsum("...ij,...jhw->...ihw", poses[..., :3, :3], local)
    return poses[..., :3, 3], directions / directions.norm(dim=-3, keepdim=True)


def pluecker(frame: Frame, cameras: Cameras) -> Float[Tensor, "V 6 H W"]:
    """Moment and direction of every pixel's ray in the frame, float32."""
    poses = frame.poses(cameras.world_from_camera)
    return joined(*rays(poses, cameras.intrinsics, cameras.image_size)).float()


def joined(
    origins: Float[Tensor, "*V 3"], directions: Float[Tensor, "*V 3 H W"]
) -> Float[Tensor, "*V 6 H W"]:
    """Channels [moment = origin x direction, direction]."""
    spread = origins[..., None, None].expand_as(directions)
    return torch.cat((torch.linalg.cross(spread, directions, dim=-3), directions), dim=-3)


def posed(
    images: Float[Tensor, "*V 3 H W"], rays_of_pixels: Float[Tensor, "*V 6 H W"]
) -> Float[Tensor, "*V 9 H W"]:
    """Channels of an input view: colours in [-1, 1], then its rays."""
    return torch.cat((2 * images - 1, rays_of_pixels), dim=-3)
