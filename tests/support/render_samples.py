"""Random Gaussians and cameras, and what goldens say, for the tests of the renderers."""

import re

import torch
from goldens import Golden

from sphinx_framework.geometry.rotations import matrices_from_quaternions
from sphinx_framework.splatting.harmonics import standard_from_mvsplat
from sphinx_framework.types import Cameras, Gaussians


def make_gaussians(count: int, seed: int, coefficients: int = 16) -> Gaussians:
    """Gaussians around the origin, float64, opacities up to 0.97 (no rounding at the stop)."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rotations = torch.nn.functional.normalize(normal(count, 4), dim=1)
    scales = torch.exp(normal(count, 3) - 2)
    spread = matrices_from_quaternions(rotations) * scales[:, None]
    return Gaussians(
        means=normal(count, 3),
        covariances=spread @ spread.transpose(1, 2),
        harmonics=0.4 * normal(count, 3, coefficients),
        opacities=0.97 * torch.sigmoid(2 * normal(count)),
        scales=scales,
        rotations=rotations,
    )


def make_cameras(count: int, size: tuple[int, int], seed: int = 0) -> Cameras:
    """Cameras about 4 units from the origin, turned towards it by and large."""
    generator = torch.Generator().manual_seed(seed)
    poses = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    turn = 0.1 * torch.randn(count, 4, generator=generator, dtype=torch.float64)
    turn[:, 0] += 1
    poses[:, :3, :3] = matrices_from_quaternions(turn)
    poses[:, :3, 3] = -4 * poses[:, :3, 2]
    height, width = size
    focal = 1.2 * min(size)
    k = torch.tensor([[focal, 0, width / 2 + 0.3], [0, focal, height / 2 - 0.4], [0, 0, 1]])
    return Cameras(
        world_from_camera=poses,
        intrinsics=k.double().repeat(count, 1, 1),
        image_size=size,
    )


def as_float32(gaussians: Gaussians) -> Gaussians:
    return Gaussians(
        means=gaussians.means.float(),
        covariances=gaussians.covariances.float(),
        harmonics=gaussians.harmonics.float(),
        opacities=gaussians.opacities.float(),
    )


def tolerances(fixture: Golden) -> tuple[float, float, float]:
    """rtol, atol of colour and opacity, and atol of depth, as the golden states them."""
    text = fixture.info["tolerance"]
    found = re.search(r"rtol ([\d.e-]+), atol ([\d.e-]+).*?atol ([\d.e-]+) on depth", text)
    assert found is not None
    return float(found[1]), float(found[2]), float(found[3])


def used_harmonics(fixture: Golden) -> torch.Tensor:
    """The coefficients that the golden's renderer reads, in the standard basis."""
    used = (fixture.info["config"]["sh_degree_used"] + 1) ** 2
    return standard_from_mvsplat(fixture.tensors["in/harmonics"][..., :used])
