"""Depth and image to start Gaussians, and the network's changes to them.

Gaussians are in the "NDC frustum" here: a centre is ``(x z, y z, z)`` with x and y from -1 (left,
top edge of the image) to 1 (right, bottom) and z in metres. No parameters; float32 always.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

STRIDE = 2
FARTHEST = 100.0
OFFSET = 1e-3
DELTA_MEAN = 1e-3
DELTA_COLOUR = 0.1
MAX_SCALE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FrustumGaussians:
    """Gaussians in the order layer, row, column. Quaternions (w, x, y, z) are not normalised.

    colours: linear RGB in [0, 1].
    """

    means: Float[Tensor, "b n 3"]
    scales: Float[Tensor, "b n 3"]
    quaternions: Float[Tensor, "b n 4"]
    colours: Float[Tensor, "b n 3"]
    opacities: Float[Tensor, "b n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What the Gaussian decoder starts from; depths are divided by the nearest one.

    scale: metres of the unit of these depths. inverse_depth: base of both layers. colours: base.
    """

    decoder_input: Float[Tensor, "b 5 S S"]
    scale: Float[Tensor, " b"]
    inverse_depth: Float[Tensor, "b 1 2 s s"]
    colours: Float[Tensor, "b 3 1 s s"]


def initialise(images: Float[Tensor, "b 3 S S"], depth: Float[Tensor, "b 2 S S"]) -> Start:
    """Images in [0, 1] and the depth of both layers in metres."""
    unit = 1 / (depth.amin(dim=(1, 2, 3), keepdim=True) + 1e-6)
    inverse = 1 / (depth * unit).clamp(max=FARTHEST)
    return Start(
        decoder_input=2 * torch.cat([images, inverse], dim=1) - 1,
        scale=1 / unit.flatten(),
        inverse_depth=functional.max_pool2d(inverse, STRIDE)[:, None],
        colours=functional.avg_pool2d(images, STRIDE)[:, :, None],
    )


def compose(start: Start, delta: Float[Tensor, "b 14 2 s s"]) -> FrustumGaussians:
    """Apply the network's changes: means, scales, quaternions, colours, opacity, in this order."""
    rho = start.inverse_depth
    cells = rho.shape[-1]
    along = (1 + 2 * torch.arange(cells, device=rho.device, dtype=rho.dtype)) / cells - 1
    x = along[None, None, None, None, :] + DELTA_MEAN * delta[:, 0:1]
    y = along[None, None, None, :, None] + DELTA_MEAN * delta[:, 1:2]
    inverse = functional.softplus(_inverse_softplus(rho) + DELTA_MEAN * delta[:, 2:3])
    z = 1 / (inverse + OFFSET)
    # The bounded factor is 1 where the network changes nothing, and at most MAX_SCALE.
    factor = MAX_SCALE * torch.sigmoid(
        delta[:, 3:6] * (MAX_SCALE / (MAX_SCALE - 1)) + math.log(1 / (MAX_SCALE - 1))
    )
    scales = (2 / cells) * z * factor
    turned = delta[:, 6:10].clone()
    turned[:, 0] += 1
    painted = torch.sigmoid(
        torch.logit(start.colours.clamp(0.01, 0.99)) + DELTA_COLOUR * delta[:, 10:13]
    )
    metres = start.scale[:, None, None]
    return FrustumGaussians(
        means=_flat(torch.cat([x * z, y * z, z], dim=1)) * metres,
        scales=_flat(scales) * metres,
        quaternions=_flat(turned),
        colours=linear_from_srgb(_flat(painted)),
        opacities=torch.sigmoid(delta[:, 13]).flatten(1),
    )


def covariances(gaussians: FrustumGaussians) -> Float[Tensor, "b n 3 3"]:
    """In the frustum's coordinates, square metres."""
    w, x, y, z = functional.normalize(gaussians.quaternions, dim=-1).unbind(-1)
    rotation = torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ],
        dim=-1,
    ).unflatten(-1, (3, 3))  # fmt: skip
    axes = rotation * gaussians.scales[..., None, :]
    return axes @ axes.mT


def linear_from_srgb(colours: Tensor) -> Tensor:
    """Decode sRGB values in [0, 1]."""
    bright = ((colours.clamp(min=0) + 0.055) / 1.055) ** 2.4
    return torch.where(colours <= 0.04045, colours / 12.92, bright)


def srgb_from_linear(colours: Tensor) -> Tensor:
    """Encode linear values in [0, 1] as sRGB."""
    bright = 1.055 * colours.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(colours <= 0.0031308, colours * 12.92, bright)


def _inverse_softplus(values: Tensor) -> Tensor:
    safe = values.clamp(min=1e-6)
    return safe + torch.log(-torch.expm1(-safe))


def _flat(values: Float[Tensor, "b c 2 s s"]) -> Float[Tensor, "b n c"]:
    return values.flatten(2).transpose(1, 2)
