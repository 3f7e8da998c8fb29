"""Target views of the encoder's Gaussians, by the core's renderer."""

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.splatting.contract import GaussianRender
from sphinx_framework.splatting.gaussians import render_gaussians
from sphinx_framework.types import Cameras, Gaussians

PrincipalPoint = Literal["exact", "centred"]

# Gaussians nearer than this share of `near` are not drawn.
CULLING = 0.2


def render_views(
    gaussians: Gaussians,
    cameras: Cameras,
    near: float | Float[Tensor, " V"],
    *,
    background: Float[Tensor, "3"] | None = None,
    principal_point: PrincipalPoint = "exact",
    backend: str = "auto",
) -> GaussianRender:
    """Render colour (not clamped to 1), opacity and accumulated depth of all cameras in one call.

    gaussians: with standard harmonics. near: of the cameras' depth range, one or per view.
    principal_point: 'centred' is upstream's behaviour, see :func:`centred`.
    """
    seen_from = centred(cameras) if principal_point == "centred" else cameras
    return render_gaussians(
        gaussians, seen_from, background=background, near=CULLING * near, backend=backend
    )


def centred(cameras: Cameras) -> Cameras:
    """Move the principal point to the middle and keep the fields of view, as upstream does.

    The field of view is the angle between the rays through the middles of opposite image sides.
    """
    height, width = cameras.image_size
    inverse = torch.linalg.inv(cameras.intrinsics.double())

    def tangent(one: tuple[float, float], other: tuple[float, float]) -> Float[Tensor, " V"]:
        rays = inverse @ inverse.new_tensor([[*one, 1.0], [*other, 1.0]]).T
        unit = rays / rays.norm(dim=1, keepdim=True)
        cosine = (unit[:, :, 0] * unit[:, :, 1]).sum(1)
        return torch.tan(cosine.clamp(-1, 1).acos() / 2)

    intrinsics = torch.eye(3, dtype=torch.float64, device=inverse.device).repeat(len(cameras), 1, 1)
    intrinsics[:, 0, 0] = width / (2 * tangent((0, height / 2), (width, height / 2)))
    intrinsics[:, 1, 1] = height / (2 * tangent((width / 2, 0), (width / 2, height)))
    intrinsics[:, 0, 2] = width / 2
    intrinsics[:, 1, 2] = height / 2
    return replace(cameras, intrinsics=intrinsics.to(cameras.intrinsics.dtype))
