"""Target views of the encoder's Gaussians, by the core's renderer (spec section 8)."""

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.splatting.contract import GaussianRender
from sphinx_framework.splatting.gaussians import render_gaussians
from sphinx_framework.splatting.harmonics import harmonics_from_colours
from sphinx_framework.types import Cameras, Gaussians

DepthMode = Literal["depth", "disparity", "relative_disparity"]
PrincipalPoint = Literal["exact", "centred"]

# Gaussians nearer than this share of `near` are not drawn.
CULLING = 0.2
EPSILON = 1e-10


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


def render_depth(
    gaussians: Gaussians,
    cameras: Cameras,
    near: Float[Tensor, " V"],
    far: Float[Tensor, " V"],
    mode: DepthMode,
    *,
    principal_point: PrincipalPoint = "exact",
    backend: str = "auto",
) -> Float[Tensor, "V H W"]:
    """Accumulate a function of camera z, not divided by the opacity, 0 where empty.

    disparity: ``1/z``. relative_disparity: 0 at ``near`` and 1 at ``far``, linear in ``1/z``.
    """
    seen_from = centred(cameras) if principal_point == "centred" else cameras
    maps = []
    for i in range(len(cameras)):
        pose = cameras.camera_from_world[i].to(gaussians.means)
        z = gaussians.means @ pose[2, :3] + pose[2, 3]
        drawn = z > CULLING * near[i]
        values = torch.where(drawn, _depth_value(z, near[i], far[i], mode), 0)
        # The renderer cuts colours below 0, so negative values are raised and lowered again.
        lowest = values.min().clamp(max=0)
        painted = replace(
            gaussians,
            harmonics=harmonics_from_colours((values - lowest)[:, None].expand(-1, 3)),
        )
        view = render_gaussians(
            painted, seen_from[i], near=CULLING * float(near[i]), backend=backend
        )
        maps.append(view.images[0, 0] + lowest * view.opacity[0])
    return torch.stack(maps)


def _depth_value(
    z: Float[Tensor, " G"], near: Float[Tensor, ""], far: Float[Tensor, ""], mode: DepthMode
) -> Float[Tensor, " G"]:
    if mode == "depth":
        return z
    if mode == "disparity":
        return 1 / z
    nearest, farthest = 1 / (near + EPSILON), 1 / (far + EPSILON)
    return 1 - (1 / (z + EPSILON) - farthest) / (nearest - farthest + EPSILON)
