"""Photos seen from the targets: backward warps through the depth of the regression render."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.geometry.brackets import camera_distances
from sphinx_framework.types import Cameras

SOURCES = 2


def warped(
    photos: Float[Tensor, "N C H W"],
    inputs: Cameras,
    targets: Cameras,
    depth: Float[Tensor, "T H W"],
) -> tuple[Float[Tensor, "S T C H W"], Float[Tensor, "S T H W"]]:
    """Sample each target's nearest inputs where its pixels lie in them, without a test of hiding.

    depth: camera-z at the targets, positive where known.

    Returns:
        The nearest inputs (at most two) as seen from every target, and where they look there: 1,
        or 0 outside of the photo, behind its camera, or without depth (colours are the border's).
    """
    height, width = depth.shape[-2:]
    count = min(SOURCES, len(inputs))
    nearest = camera_distances(targets, inputs).topk(count, dim=1, largest=False).indices.T
    y, x = torch.meshgrid(
        torch.arange(height, device=depth.device) + 0.5,
        torch.arange(width, device=depth.device) + 0.5,
        indexing="ij",
    )
    pixels = torch.stack([x, y, torch.ones_like(x)]).reshape(3, -1).to(depth)
    points = (torch.linalg.inv(targets.intrinsics) @ pixels) * depth.flatten(1)[:, None]
    pose = targets.world_from_camera
    world = pose[:, :3, :3] @ points + pose[:, :3, 3:]
    views, insides = [], []
    for chosen in nearest.to(depth.device):
        back = torch.linalg.inv(inputs.world_from_camera[chosen])
        seen = back[:, :3, :3] @ world + back[:, :3, 3:]
        z = seen[:, 2:].clamp(min=1e-6)
        at = (inputs.intrinsics[chosen] @ (seen / z))[:, :2]
        place = torch.stack([at[:, 0] * (2 / width) - 1, at[:, 1] * (2 / height) - 1], dim=-1)
        place = place.unflatten(1, (height, width))
        inside = (place.abs() < 1).all(dim=-1) & (depth > 0)
        inside &= (seen[:, 2] > 1e-6).unflatten(1, (height, width))
        views.append(
            functional.grid_sample(
                photos[chosen], place.nan_to_num().clamp(-2, 2), mode="bilinear",
                padding_mode="border", align_corners=False,
            )
        )  # fmt: skip
        insides.append(inside.to(photos.dtype))
    return torch.stack(views), torch.stack(insides)
