"""EDM preconditioning around the U-Net, and what it is conditioned on.

The network predicts the residual to the *base* latents of the regression render (to the clean
latents at given frames), after Karras et al. 2022, table 1, with the residual's own deviation.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework.protocols import Executor
from sphinx_framework.types import Cameras
from sphinx_framework_lite.autoencoder import LATENT_CHANNELS, LATENT_FACTOR
from sphinx_framework_lite.geometry import pixel_grid
from sphinx_framework_lite.unet import MultiViewUNet

SOURCES = 2
RAYS = 6
CONDITION_CHANNELS = LATENT_CHANNELS + 1 + SOURCES * (LATENT_CHANNELS + 1) + 1 + RAYS
RESIDUAL_DEVIATION = 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteCondition:
    """What stays the same over all steps of a clip.

    base: latents of the regression render, or the clean latents where ``given``.
    maps: everything else the network sees, see :func:`condition_maps`.
    sigmas: noise level at the entry of every step.
    """

    base: Float[Tensor, "T C h w"]
    maps: Float[Tensor, "T D h w"]
    given: Bool[Tensor, " T"]
    sigmas: tuple[float, ...]


def plucker_rays(
    cameras: Cameras, reference: Float[Tensor, "4 4"], unit: float
) -> Float[Tensor, "T 6 h w"]:
    """Direction and moment of the ray through every latent cell.

    reference: world_from_camera of the frame of coordinates. unit: length that counts as 1.
    """
    height, width = (s // LATENT_FACTOR for s in cameras.image_size)
    k = (
        cameras.intrinsics
        / cameras.intrinsics.new_tensor([LATENT_FACTOR, LATENT_FACTOR, 1])[:, None]
    )
    rotation, origin = reference[:3, :3], reference[:3, 3]
    pose = rotation.T @ cameras.world_from_camera[:, :3, :3]
    centre = (cameras.centres - origin) @ rotation / unit
    direction = pose @ torch.linalg.inv(k) @ pixel_grid(height, width, k)
    direction = functional.normalize(direction, dim=1)
    moment = torch.linalg.cross(centre[:, :, None].expand_as(direction), direction, dim=1)
    return torch.cat([direction, moment], dim=1).unflatten(2, (height, width))


def condition_maps(
    base: Float[Tensor, "T C h w"],
    opacity: Float[Tensor, "T H W"],
    sources: Float[Tensor, "S T C h w"],
    source_opacity: Float[Tensor, "S T H W"],
    given: Bool[Tensor, " T"],
    rays: Float[Tensor, "T 6 h w"],
) -> Float[Tensor, "T D h w"]:
    """Stack base, opacity, per-source renders with their opacity, the given mask, and the rays.

    Given frames show themselves as their sources, fully opaque.
    """
    size = (base.shape[-2], base.shape[-1])
    known = given[:, None, None, None]

    def pooled(values: Tensor) -> Tensor:
        return torch.where(known, 1.0, functional.adaptive_avg_pool2d(values[:, None], size))

    parts = [base, pooled(opacity)]
    for latents, covered in zip(sources, source_opacity, strict=True):
        weight = pooled(covered)
        parts += [torch.where(known, base, latents * (weight > 0.01)), weight]
    parts += [known.to(base.dtype).expand(-1, 1, *size), rays]
    return torch.cat(parts, dim=1)


class Denoiser(nn.Module):
    """Predicts clean latents from noisy ones."""

    def __init__(self) -> None:
        super().__init__()
        self.network = MultiViewUNet(LATENT_CHANNELS, CONDITION_CHANNELS)
        self.deviation: Tensor
        self.register_buffer("deviation", torch.tensor(RESIDUAL_DEVIATION))

    def forward(
        self,
        x: Float[Tensor, "R C a b"],
        sigma: Float[Tensor, "#R"],
        condition: LiteCondition,
        ops: Executor,
    ) -> Float[Tensor, "R C a b"]:
        """Clean latents of the held rows; given frames are returned as they are."""
        held = (ops.maps(condition.base), ops.rows(condition.given), ops.maps(condition.maps))
        return self.of_rows(x, sigma, *held, ops)

    def of_rows(
        self,
        x: Float[Tensor, "R C a b"],
        sigma: Float[Tensor, "#R"],
        base: Float[Tensor, "R C a b"],
        given: Bool[Tensor, " R"],
        maps: Float[Tensor, "R D a b"],
        ops: Executor,
    ) -> Float[Tensor, "R C a b"]:
        """Clean latents of rows whose condition is picked already, of one request or several."""
        given = given[:, None, None, None]
        residual = torch.where(given, 0.0, x - base)
        out = self.raw(residual, sigma, maps, ops)
        skip, scale, _ = self.coefficients(sigma[:, None, None, None])
        clean = base + skip * residual + scale * out.to(base.dtype)
        return torch.where(given, base, clean)

    def raw(
        self,
        residual: Float[Tensor, "R C a b"],
        sigma: Float[Tensor, "#R"],
        maps: Float[Tensor, "R D a b"],
        ops: Executor,
    ) -> Float[Tensor, "R C a b"]:
        """The network output ``F`` for a noisy residual."""
        _, _, inward = self.coefficients(sigma[:, None, None, None])
        out: Tensor = self.network(inward * residual, sigma.log(), maps, ops)
        return out

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``c_skip``, ``c_out`` and ``c_in`` of the EDM form."""
        s = self.deviation
        total = sigma.square() + s.square()
        return s.square() / total, sigma * s / total.sqrt(), 1 / total.sqrt()
