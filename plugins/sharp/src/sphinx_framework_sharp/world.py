"""Gaussians of a photo's frustum into the world, and which photo serves which target."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sphinx_framework.splatting.harmonics import harmonics_from_colours
from sphinx_framework.types import Cameras, Gaussians
from sphinx_framework_sharp.compose import FrustumGaussians, covariances

# A turn by this many radians is as bad as standing as far away as the inputs are from each other.
TURN = 0.5
SMALLEST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldGaussians:
    """Gaussians with linear colours, and the map (4x4, affine) that brought them there."""

    gaussians: Gaussians
    frame: Float[Tensor, "4 4"]


def gaussians_in_world(
    made: FrustumGaussians, index: int, camera: Cameras, units_per_metre: float
) -> WorldGaussians:
    """Place the Gaussians of one photo by the camera (one) that took it.

    The camera's exact principal point and both its focal lengths are used.
    """
    frame = frustum_to_world(camera, units_per_metre).to(made.means)
    turn, shift = frame[:3, :3], frame[:3, 3]
    spread = turn @ covariances(made)[index] @ turn.T
    return WorldGaussians(
        gaussians=Gaussians(
            means=made.means[index] @ turn.T + shift,
            covariances=(spread + spread.mT) / 2,
            harmonics=harmonics_from_colours(made.colours[index]),
            opacities=made.opacities[index],
        ),
        frame=frame,
    )


def frustum_to_world(camera: Cameras, units_per_metre: float) -> Float[Tensor, "4 4"]:
    """Affine map of ``(x z, y z, z)`` in metres to the world in scene units."""
    height, width = camera.image_size
    extent = camera.intrinsics.new_tensor([width, height, 1]).double()
    from_pixels = torch.tensor(
        [[2.0, 0, -1], [0, 2.0, -1], [0, 0, 1]], dtype=torch.float64, device=extent.device
    )
    frustum_from_camera = from_pixels @ (camera.intrinsics[0].double() / extent[:, None])
    frame = torch.eye(4, dtype=torch.float64, device=extent.device)
    frame[:3, :3] = torch.linalg.inv(frustum_from_camera) * units_per_metre
    return camera.world_from_camera[0].double() @ frame


def nearest_inputs(inputs: Cameras, targets: Cameras) -> Int[Tensor, " T"]:
    """Index of the input that serves each target: near it, and looking the same way.

    Distances count in spreads of the inputs, turns in :data:`TURN`; so the world's unit and frame
    do not matter.
    """
    apart = torch.cdist(targets.centres.double(), inputs.centres.double())
    spread = torch.cdist(inputs.centres.double(), inputs.centres.double()).max()
    ahead = inputs.world_from_camera[:, :3, 2].double()
    cosine = targets.world_from_camera[:, :3, 2].double() @ ahead.T
    turned = cosine.clamp(-1, 1).acos()
    return (apart / spread.clamp(min=SMALLEST) + turned / TURN).argmin(dim=1)
