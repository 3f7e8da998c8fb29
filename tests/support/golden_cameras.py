"""Cameras that the golden file of the point renderer was rendered with."""

import torch
from goldens import Golden

from sphinx_framework.types import Cameras


def rendered_cameras(fixture: Golden) -> Cameras:
    """The trajectory's cameras, those of its rendered frames only."""
    tensors, config = fixture.tensors, fixture.info["config"]
    views = tensors["out/traj_w2c_opencv"]
    intrinsics = torch.eye(3).repeat(len(views), 1, 1)
    intrinsics[:, [0, 1], [0, 1]] = tensors["out/traj_focals"]
    intrinsics[:, :2, 2] = tensors["out/traj_principal_points"]
    return Cameras(
        world_from_camera=torch.linalg.inv(views),
        intrinsics=intrinsics,
        image_size=(config["H"], config["W"]),
    )[config["rendered_frames"]]
