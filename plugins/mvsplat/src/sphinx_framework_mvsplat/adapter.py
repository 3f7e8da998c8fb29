"""Raw network output per pixel to 3-D Gaussians in the world; no parameters."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.types import Gaussians
from sphinx_framework_mvsplat.config import EncoderConfig
from sphinx_framework_mvsplat.harmonics import rotate_harmonics

PIXEL_SCALE = 0.1
EPSILON = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelGaussians:
    """Gaussians of a batch of scenes, ordered by view, pixel (row-major), place along the ray.

    harmonics: coefficients per colour, world axes. scales: scene units. quaternions: ``(x, y, z,
    w)``, rotation in the *camera's* frame. directions: unit rays, world axes.
    """

    means: Float[Tensor, "b G 3"]
    covariances: Float[Tensor, "b G 3 3"]
    harmonics: Float[Tensor, "b G 3 d"]
    opacities: Float[Tensor, "b G"]
    scales: Float[Tensor, "b G 3"]
    quaternions: Float[Tensor, "b G 4"]
    directions: Float[Tensor, "b G 3"]

    def scene(self, index: int, unit: float = 1.0) -> Gaussians:
        """The Gaussians of one scene of the batch, enlarged by ``unit``."""
        return Gaussians(
            means=self.means[index] * unit,
            covariances=self.covariances[index] * unit**2,
            harmonics=self.harmonics[index],
            opacities=self.opacities[index],
        )


def opacity_of(
    density: Float[Tensor, "*n"], exponent: float, per_pixel: int
) -> Float[Tensor, "*n"]:
    """Map densities in [0, 1] to opacities; exponent 0 (officially at the end) keeps them."""
    power = 2.0**exponent
    mapped = density
    if power != 1.0:
        mapped = (1 - (1 - density) ** power + density ** (1 / power)) / 2
    return mapped / per_pixel


def gaussians_of(
    raw: Float[Tensor, "b v p g"],
    depths: Float[Tensor, "b v p k"],
    opacities: Float[Tensor, "b v p k"],
    world_from_camera: Float[Tensor, "b v 4 4"],
    intrinsics: Float[Tensor, "b v 3 3"],
    size: tuple[int, int],
    config: EncoderConfig,
    degree: int | None = None,
) -> PixelGaussians:
    """Place one Gaussian per pixel and depth.

    raw: offset (2), scale (3), quaternion (4), harmonics (3 x (sh_degree + 1)**2, colour-major).
    depths: used as the distance *along the ray*, as the reference does. intrinsics: normalised.
    size: ``(height, width)`` of the images. degree: of the harmonics kept, at most ``sh_degree``;
    the rest is neither scaled nor rotated.
    """
    count = (config.sh_degree + 1) ** 2
    kept = count if degree is None else (min(degree, config.sh_degree) + 1) ** 2
    offset, raw_scale, quaternion, colour = raw.split((2, 3, 4, 3 * count), dim=-1)
    rotation = world_from_camera[..., :3, :3]
    inverse = torch.linalg.inv(intrinsics.double()).to(raw.dtype)

    directions = _rays(offset, inverse, rotation, size)
    centre = world_from_camera[:, :, None, None, :3, 3]
    means = centre + directions[..., None, :] * depths[..., None]

    pixel = raw.new_tensor([1 / size[1], 1 / size[0]])
    unit = PIXEL_SCALE * (inverse[..., :2, :2] @ pixel).sum(-1)[:, :, None, None]
    low, high = config.gaussian_scale_min, config.gaussian_scale_max
    scales = (low + (high - low) * raw_scale.sigmoid()) * unit
    scales = scales[..., None, :] * depths[..., None]

    quaternion = quaternion / (quaternion.norm(dim=-1, keepdim=True) + EPSILON)
    axes = rotation[:, :, None] @ rotation_of(quaternion)
    factor = axes[..., None, :, :] * scales[..., None, :]
    covariances = factor @ factor.transpose(-1, -2)

    colour = colour.unflatten(-1, (3, count))[..., :kept]
    weights = raw.new_tensor(degree_weights(config.sh_degree)[:kept])
    turned = rotate_harmonics((colour * weights).flatten(2, 3), rotation)
    harmonics = turned.unflatten(2, (-1, 3))

    def shared(attribute: Tensor) -> Tensor:
        """Repeat what the Gaussians of a pixel have in common."""
        repeats = (-1, -1, -1, depths.shape[-1], *attribute.shape[3:])
        return attribute.unsqueeze(3).expand(repeats).flatten(1, 3)

    return PixelGaussians(
        means=means.flatten(1, 3),
        covariances=covariances.flatten(1, 3),
        harmonics=shared(harmonics),
        opacities=opacities.flatten(1, 3),
        scales=scales.flatten(1, 3),
        quaternions=shared(quaternion),
        directions=shared(directions),
    )


def degree_weights(degree: int) -> list[float]:
    """Damping per coefficient: 1 for the constant, ``0.1 * 0.25**l`` for band ``l``."""
    weights = [1.0]
    for band in range(1, degree + 1):
        weights += [0.1 * 0.25**band] * (2 * band + 1)
    return weights


def rotation_of(quaternion: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 3 3"]:
    """Rotation matrices of quaternions ``(x, y, z, w)`` of about unit length."""
    i, j, k, r = quaternion.unbind(-1)
    two = 2 / (quaternion.square().sum(-1) + EPSILON)
    rows = [
        [1 - two * (j * j + k * k), two * (i * j - k * r), two * (i * k + j * r)],
        [two * (i * j + k * r), 1 - two * (i * i + k * k), two * (j * k - i * r)],
        [two * (i * k - j * r), two * (j * k + i * r), 1 - two * (i * i + j * j)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _rays(
    offset: Float[Tensor, "b v p 2"],
    inverse: Float[Tensor, "b v 3 3"],
    rotation: Float[Tensor, "b v 3 3"],
    size: tuple[int, int],
) -> Float[Tensor, "b v p 3"]:
    """Unit rays in the world through the pixel centres, moved by up to half a pixel."""
    height, width = size
    rows, columns = torch.meshgrid(
        torch.arange(height, device=offset.device),
        torch.arange(width, device=offset.device),
        indexing="ij",
    )
    centres = torch.stack([columns, rows], dim=-1).flatten(0, 1) + 0.5
    place = (centres + offset.sigmoid() - 0.5) / offset.new_tensor([width, height])
    homogeneous = torch.cat([place, torch.ones_like(place[..., :1])], dim=-1)
    rays = homogeneous @ inverse.transpose(-1, -2)
    rays = rays / rays.norm(dim=-1, keepdim=True)
    return rays @ rotation.transpose(-1, -2)
