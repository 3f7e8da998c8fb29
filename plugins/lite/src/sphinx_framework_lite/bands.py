"""Band-pass maps of images, in pixels of the image itself: what blur, noise and blocks change."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

# Scales in pixels between which the bands lie; the last one leaves the low frequencies.
SIGMAS = (0.6, 1.2, 2.4)
BANDS = len(SIGMAS)


def luminance(images: Float[Tensor, "*b 3 H W"]) -> Float[Tensor, "*b 1 H W"]:
    """Rec. 601 luma."""
    weights = images.new_tensor([0.299, 0.587, 0.114])[:, None, None]
    return (images * weights).sum(dim=-3, keepdim=True)


def chroma(images: Float[Tensor, "*b 3 H W"]) -> Float[Tensor, "*b 2 H W"]:
    """Red minus green, and blue minus the mean of both."""
    red, green, blue = images.unbind(dim=-3)
    return torch.stack([red - green, blue - 0.5 * (red + green)], dim=-3)


def smooth(x: Float[Tensor, "V C H W"], sigma: float) -> Float[Tensor, "V C H W"]:
    """Gaussian blur with replicated edges, as two matrix products: quick at our sizes."""
    height, width = x.shape[-2:]
    down, across = (_blur_on(side, sigma, x.device, x.dtype) for side in (height, width))
    return down @ x @ across.mT


@lru_cache(maxsize=64)
def _blur_on(side: int, sigma: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The matrix where it is used: copied there once, not at every blur."""
    return _blur_matrix(side, sigma).to(device=device, dtype=dtype)


@lru_cache(maxsize=64)
def _blur_matrix(side: int, sigma: float) -> Tensor:
    """Rows of weights, ``[side, side]``; what lies outside counts for the edge."""
    radius = max(1, round(3 * sigma))
    offsets = torch.arange(-radius, radius + 1)
    bell = torch.exp(-0.5 * (offsets / sigma) ** 2)
    bell = bell / bell.sum()
    rows = torch.arange(side)[:, None].expand(-1, len(offsets))
    matrix = torch.zeros(side, side)
    matrix.index_put_(
        (rows, (rows + offsets).clamp(0, side - 1)), bell.expand(side, -1), accumulate=True
    )
    return matrix


def bands(x: Float[Tensor, "V C H W"]) -> tuple[list[Tensor], Tensor]:
    """Band-pass maps from fine to coarse, and what is left of low frequencies."""
    found, rest = [], x
    for sigma in SIGMAS:
        low = smooth(rest, sigma)
        found.append(rest - low)
        rest = low
    return found, rest


def gradient_magnitude(grey: Float[Tensor, "V 1 H W"]) -> Float[Tensor, "V 1 H W"]:
    """Prewitt gradient magnitude."""
    padded = functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    both = functional.conv2d(padded, _prewitt_on(grey.device, grey.dtype))
    return both.square().sum(dim=1, keepdim=True).add(1e-12).sqrt()


@lru_cache(maxsize=8)
def _prewitt_on(device: torch.device, dtype: torch.dtype) -> Float[Tensor, "2 1 3 3"]:
    """Both kernels where they are used."""
    kernel = torch.tensor([[1, 0, -1], [1, 0, -1], [1, 0, -1]], dtype=dtype) / 3
    return torch.stack([kernel, kernel.T])[:, None].to(device)


def weighted(values: Float[Tensor, "V 1 H W"], weight: Float[Tensor, "V 1 H W"]) -> Tensor:
    """Weighted mean per image; 0 where there is no weight."""
    return (values * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1e-3)
