"""Image statistics that a no-reference score is made of, known at run time without a model.

Mittal et al. 2012 (BRISQUE): locally normalised luminance and its neighbour products have heavy-
tailed distributions in photos that blur, noise and holes change. Opacity statistics come on top.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

SCALES = 3
NATURAL = SCALES * 15
OPACITY = 5
# Scores must not depend on the image size: statistics are taken at this shorter side at most.
WORKING_SIDE = 96


def _window(like: Tensor) -> Tensor:
    axis = torch.arange(-3, 4, dtype=like.dtype, device=like.device)
    bell = torch.exp(-0.5 * (axis / 1.2) ** 2)
    kernel = bell[:, None] * bell[None]
    return (kernel / kernel.sum())[None, None]


def _blur(x: Tensor, window: Tensor) -> Tensor:
    return functional.conv2d(functional.pad(x, (3, 3, 3, 3), mode="reflect"), window)


def _moments(x: Tensor) -> list[Tensor]:
    """Mean, log deviation and log kurtosis ratio of each map."""
    flat = x.flatten(1)
    deviation = flat.std(dim=1) + 1e-4
    ratio = flat.abs().mean(dim=1) / deviation
    return [flat.mean(dim=1), deviation.log(), ratio]


def natural_statistics(images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V F"]:
    """Statistics of locally normalised luminance at three scales."""
    scale = WORKING_SIDE / min(images.shape[-2:])
    if scale < 1:
        images = functional.interpolate(
            images, scale_factor=scale, mode="bilinear", antialias=True, recompute_scale_factor=True
        )
    grey = (images.clamp(0, 1) * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(
        1, keepdim=True
    )
    window = _window(grey)
    parts: list[Tensor] = []
    for _ in range(SCALES):
        mean = _blur(grey, window)
        deviation = (_blur(grey * grey, window) - mean * mean).clamp(min=0).sqrt()
        normal = (grey - mean) / (deviation + 4 / 255)
        parts += _moments(normal)
        parts += [(deviation.flatten(1).mean(1) + 1e-4).log()]
        parts += _moments(normal[..., 1:] * normal[..., :-1])
        parts += _moments(normal[..., 1:, :] * normal[..., :-1, :])
        second = functional.conv2d(
            grey, grey.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
        )
        first = grey[..., 1:, 1:] - grey[..., :-1, :-1]
        edge = first.abs().flatten(1)
        curvature = second.abs().flatten(1)
        parts += [(curvature.mean(1) + 1e-4).log(), (edge.mean(1) + 1e-4).log()]
        parts += [((curvature.mean(1) + 1e-4) / (edge.mean(1) + 1e-4)).log()]
        parts += [((curvature.amax(1) + 1e-3) / (edge.amax(1) + 1e-3)).log()]
        grey = functional.avg_pool2d(grey, 2)
        parts += [(grey[..., 1:] - grey[..., :-1]).abs().flatten(1).mean(1).clamp(min=1e-4).log()]
    return torch.stack(parts, dim=1)


def opacity_statistics(opacity: Float[Tensor, "V H W"]) -> Float[Tensor, "V 5"]:
    """Mean, shares below three levels, and roughness of the opacity."""
    flat = opacity.flatten(1)
    shares = [(flat < level).float().mean(1) for level in (0.25, 0.5, 0.85)]
    rough = (opacity[:, 1:, 1:] - opacity[:, :-1, :-1]).abs().flatten(1).mean(1)
    return torch.stack([flat.mean(1), *shares, rough], dim=1)
