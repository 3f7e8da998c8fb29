"""CUDA back-end: projection and blending by gsplat, colours by our own harmonics.

gsplat 1.5 clamps a Gaussian's opacity at 0.999 instead of 0.99; with typical opacities the
difference to the other back-ends is far below one grey level. Its packed mode refuses backgrounds
(issues 764 and 826 of nerfstudio-project/gsplat), so that they are put behind the result here.
"""

from importlib import import_module

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.splatting.contract import GaussianRender
from sphinx_framework.splatting.harmonics import harmonic_colours
from sphinx_framework.types import Cameras, Gaussians

VIEWS_PER_CALL = 16


def kernels_are_built() -> bool:
    """Whether gsplat found or built its CUDA kernels; the first call may compile for minutes."""
    try:
        return getattr(import_module("gsplat.cuda._backend"), "_C", None) is not None
    except (ImportError, OSError, RuntimeError):
        return False


def render_gsplat(
    gaussians: Gaussians,
    cameras: Cameras,
    backgrounds: Float[Tensor, "V 3"],
    nears: Float[Tensor, " V"],
    dilation: float,
) -> GaussianRender:
    """Render views in groups of equal ``near`` (gsplat takes one per call)."""
    height, width = cameras.image_size
    images = torch.zeros(len(cameras), 3, height, width, device=backgrounds.device)
    opacity = torch.zeros(len(cameras), height, width, device=backgrounds.device)
    depth = torch.zeros_like(opacity)
    drawable = _drawable(gaussians)
    if len(drawable.means) == 0:
        images += backgrounds.float()[..., None, None]
        return GaussianRender(images=images, opacity=opacity, depth=depth)
    for near in sorted(set(nears.tolist())):
        same = [i for i, value in enumerate(nears.tolist()) if value == near]
        for start in range(0, len(same), VIEWS_PER_CALL):
            rows = same[start : start + VIEWS_PER_CALL]
            part = _render_group(drawable, cameras[rows], near, dilation)
            images[rows], opacity[rows], depth[rows] = part
    images += (1 - opacity)[:, None] * backgrounds.float()[..., None, None]
    return GaussianRender(images=images, opacity=opacity, depth=depth)


def _render_group(
    gaussians: Gaussians,
    cameras: Cameras,
    near: float,
    dilation: float,
) -> tuple[Float[Tensor, "V 3 H W"], Float[Tensor, "V H W"], Float[Tensor, "V H W"]]:
    """Colours over black, opacities and accumulated depths of views that share ``near``."""
    gsplat = import_module("gsplat")
    height, width = cameras.image_size
    directions = gaussians.means - cameras.centres[:, None]  # [V, G, 3]
    unit = torch.nn.functional.normalize(directions, dim=-1)
    colours = torch.stack([harmonic_colours(gaussians.harmonics, view) for view in unit])
    rendered, alphas, _ = gsplat.rasterization(
        means=gaussians.means.float(),
        quats=None,
        scales=None,
        covars=gaussians.covariances.float(),
        opacities=gaussians.opacities.float(),
        colors=colours.float(),
        viewmats=cameras.camera_from_world.float(),
        Ks=cameras.intrinsics.float(),
        width=width,
        height=height,
        near_plane=near,
        eps2d=dilation,
        rasterize_mode="classic",
        render_mode="RGB+D",
        packed=len(cameras) > 2,
    )
    channels = rendered.permute(0, 3, 1, 2)
    return channels[:, :3], alphas[..., 0], channels[:, 3]


def _drawable(gaussians: Gaussians) -> Gaussians:
    """Without Gaussians that are not finite, which the kernels do not expect."""
    parts = (gaussians.means, gaussians.covariances.flatten(1), gaussians.opacities[:, None])
    finite = torch.cat(parts, dim=1).isfinite().all(dim=1)
    return Gaussians(
        means=gaussians.means[finite],
        covariances=gaussians.covariances[finite],
        harmonics=gaussians.harmonics[finite],
        opacities=gaussians.opacities[finite],
    )
