"""Render 3-D Gaussians from many cameras in one call, with the back-end that fits the device.

The model is classic 3-D Gaussian splatting: perspective-projected Gaussians with a low-pass
dilation, composited front to back in the order of camera z, and exact coverage (every pixel where
a Gaussian's opacity reaches 1/255, without truncation at tiles). All back-ends compute the same.
"""

from importlib.util import find_spec
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import ConfigError, suggestion
from sphinx_framework.splatting.contract import DILATION, GaussianRender
from sphinx_framework.types import Cameras, Gaussians

Backend = Literal["torch", "numba", "gsplat"]
BACKENDS = ("auto", "torch", "numba", "gsplat")


def render_gaussians(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    background: Float[Tensor, "3"] | Float[Tensor, "V 3"] | None = None,
    near: float | Float[Tensor, " V"] = 0.01,
    dilation: float = DILATION,
    backend: str = "auto",
) -> GaussianRender:
    """Render all cameras.

    Args:
        gaussians: world-space Gaussians with standard harmonics (see :mod:`.harmonics`).
        cameras: any number of views of one image size, on any device.
        background: colour behind the Gaussians, one or per view; ``None`` is black.
        near: camera z at or below which a Gaussian is not drawn, in scene units, one or per view.
        dilation: added to the diagonal of every screen covariance, in square pixels.
        backend: ``"torch"`` (reference, differentiable, any device), ``"numba"`` (CPU, float32),
            ``"gsplat"`` (CUDA), or ``"auto"``: gsplat for Gaussians on a CUDA device where it can
            run, numba on the CPU, torch otherwise and whenever gradients are needed on the CPU.

    Returns:
        Views on the Gaussians' device, in their floating-point type (float32 from numba, gsplat).

    Raises:
        ConfigError: an unknown back-end, or one that cannot run here.
    """
    views = len(cameras)
    device, dtype = gaussians.means.device, gaussians.means.dtype
    nears = torch.as_tensor(near, dtype=dtype, device=device).expand(views)
    if background is None:
        background = torch.zeros(3)
    backgrounds = background.to(device, dtype).expand(views, 3)
    chosen = choose_backend(gaussians, backend)
    here = cameras.to(device)
    if chosen == "numba":
        from sphinx_framework.splatting.cpu.render import render_numba

        return render_numba(gaussians, here, backgrounds, nears, dilation)
    if chosen == "gsplat":
        from sphinx_framework.splatting.gsplat import render_gsplat

        return render_gsplat(gaussians, here, backgrounds, nears, dilation)
    from sphinx_framework.splatting.reference import render_torch

    return render_torch(gaussians, here, backgrounds, nears, dilation)


def choose_backend(gaussians: Gaussians, backend: str) -> Backend:
    """Resolve ``"auto"`` and refuse a back-end that cannot run on the Gaussians' device."""
    device = gaussians.means.device
    if backend == "auto":
        if device.type == "cuda":
            return "torch" if gsplat_problem(device) else "gsplat"
        return "numba" if device.type == "cpu" and not _needs_gradients(gaussians) else "torch"
    if backend == "torch":
        return "torch"
    if backend == "numba":
        if device.type != "cpu" or _needs_gradients(gaussians):
            raise ConfigError(
                "the numba renderer needs Gaussians on the CPU without gradients.",
                hint="Choose backend 'torch' or 'auto'.",
            )
        return "numba"
    if backend == "gsplat":
        problem = gsplat_problem(device)
        if problem:
            raise ConfigError(
                f"the gsplat renderer cannot run: {problem}.",
                hint="Choose backend 'auto', which takes another one where gsplat is missing.",
            )
        return "gsplat"
    raise ConfigError(
        f"unknown renderer back-end {backend!r}.",
        hint=f"{suggestion(backend, BACKENDS)}Choose one of: {', '.join(BACKENDS)}.",
    )


def gsplat_problem(device: torch.device) -> str:
    """Why gsplat cannot render on this device, or an empty string when it can.

    Its wheel compiles CUDA kernels on first use, so an installed package may still be unusable.
    """
    if find_spec("gsplat") is None:
        return "the package 'gsplat' is not installed (extra 'gpu')"
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    if device.type != "cuda":
        return f"the Gaussians are on {device}, not on a CUDA device"
    from sphinx_framework.splatting.gsplat import kernels_are_built

    if not kernels_are_built():
        return "its CUDA kernels are not built and no matching CUDA toolkit was found"
    return ""


def _needs_gradients(gaussians: Gaussians) -> bool:
    parts = (gaussians.means, gaussians.covariances, gaussians.harmonics, gaussians.opacities)
    return torch.is_grad_enabled() and any(part.requires_grad for part in parts)
