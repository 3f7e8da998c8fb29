"""Full-reference measures of the trainers and reports (ground truth needed, never at run time)."""

import torch
from torch import Tensor
from torch.nn import functional


def psnr(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Per image, in dB; mask ``[V H W]`` restricts it to some pixels."""
    error = (a - b).square().mean(dim=1)
    if mask is None:
        mse = error.mean(dim=(1, 2))
    else:
        mse = (error * mask).sum(dim=(1, 2)) / mask.sum(dim=(1, 2)).clamp(min=1)
    return -10 * mse.clamp(min=1e-8).log10()


def grey(images: Tensor) -> Tensor:
    """Luminance, ``[V 1 H W]``."""
    weights = images.new_tensor([0.299, 0.587, 0.114])[:, None, None]
    return (images * weights).sum(dim=1, keepdim=True)


def _ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of luminance, 7x7 uniform window, where the window fits."""

    def mean(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 7, 1)

    x, y = grey(a), grey(b)
    mx, my = mean(x), mean(y)
    vx, vy = mean(x * x) - mx * mx, mean(y * y) - my * my
    cov = mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean structural similarity of luminance, per image."""
    return _ssim_map(a, b).mean(dim=(1, 2, 3))


def _magnitude(x: Tensor) -> Tensor:
    kernel = x.new_tensor([[1, 0, -1], [1, 0, -1], [1, 0, -1]]) / 3
    weight = torch.stack([kernel, kernel.T])[:, None]
    return functional.conv2d(x, weight, padding=1).square().sum(dim=1).add(1e-8).sqrt()


def _gradient_map(a: Tensor, b: Tensor) -> Tensor:
    x, y = _magnitude(grey(a)), _magnitude(grey(b))
    return (2 * x * y + 0.0026) / (x * x + y * y + 0.0026)


def gradient_similarity(a: Tensor, b: Tensor) -> Tensor:
    """Mean gradient-magnitude similarity of luminance (Xue et al. 2014), c = 0.0026."""
    return _gradient_map(a, b).mean(dim=(1, 2))


def sharpness(images: Tensor) -> Tensor:
    """Log variance of the Laplacian of luminance in 0..255."""
    x = grey(images) * 255
    kernel = x.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    return functional.conv2d(x, kernel).flatten(1).var(dim=1).clamp(min=1e-6).log()


def quality(a: Tensor, b: Tensor) -> Tensor:
    """What the no-reference score learns to predict: mean of SSIM and gradient similarity."""
    return 0.5 * (ssim(a, b) + gradient_similarity(a, b))


def quality_map(a: Tensor, b: Tensor) -> Tensor:
    """The same at every pixel, ``[V H W]``; SSIM's margin is repeated."""
    structure = functional.pad(_ssim_map(a, b), (3, 3, 3, 3), mode="replicate")[:, 0]
    return 0.5 * (structure + _gradient_map(a, b))
