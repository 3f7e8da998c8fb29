"""Blur from the Laplacian response, split by Otsu's threshold, on uint8 grey images.

Follows the reference implementation value by value (``sphinx_reference`` spec, section 4): fixed
point grey conversion, 3x3 Laplacian, 9x9 Gaussian of sigma 1 with mirrored borders, min-max to
0..255, Otsu. Everything is batched over views and runs where the images are.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Float32, Float64, UInt8
from torch import Tensor
from torch.nn import functional

ChannelOrder = Literal["rgb", "bgr"]
GREY_WEIGHTS = {"rgb": (9798, 19235, 3735), "bgr": (3735, 19235, 9798)}
GREY_SHIFT = 15
GAUSSIAN_RADIUS = 4
GAUSSIAN_SIGMA = 1.0
LEVELS = 256
SMALLEST_CLASS = 2.0**-23


def to_uint8(images: Float[Tensor, "T 3 H W"]) -> UInt8[Tensor, "T 3 H W"]:
    """Round images in [0, 1] to 0..255."""
    return (images.clamp(0, 1) * (LEVELS - 1)).round().to(torch.uint8)


def grey_levels(
    images: UInt8[Tensor, "T 3 H W"], order: ChannelOrder = "rgb"
) -> UInt8[Tensor, "T H W"]:
    """Luma in 15-bit fixed point; ``"bgr"`` swaps the weights of red and blue."""
    weights = torch.tensor(GREY_WEIGHTS[order], dtype=torch.int32, device=images.device)
    total = (images.to(torch.int32) * weights[:, None, None]).sum(dim=1)
    return ((total + (1 << (GREY_SHIFT - 1))) >> GREY_SHIFT).to(torch.uint8)


def laplacian_energy(grey: UInt8[Tensor, "T H W"]) -> Float32[Tensor, "T H W"]:
    """Gaussian mean of the absolute 4-neighbour Laplacian, in grey levels."""
    x = _mirrored(grey.float(), 1)
    rows, columns = x[:, 1:-1], x[..., 1:-1]
    response = (
        rows[..., :-2] + rows[..., 2:] + columns[:, :-2] + columns[:, 2:] - 4 * rows[..., 1:-1]
    )
    return _gaussian(response.abs())


def inverted_energy(energy: Float32[Tensor, "T H W"]) -> UInt8[Tensor, "T H W"]:
    """``255 - trunc(energy)`` after a min-max stretch of every view to 0..255: high is blurry.

    A view of constant energy becomes 255 everywhere.
    """
    low = energy.amin(dim=(1, 2), keepdim=True).double()
    span = energy.amax(dim=(1, 2), keepdim=True).double() - low
    scale = torch.where(span > 0, (LEVELS - 1) / span, torch.zeros_like(span))
    stretched = energy * scale.float() - (low * scale).float()
    return (LEVELS - 1 - stretched.clamp(0, LEVELS - 1).trunc()).to(torch.uint8)


def otsu_threshold(levels: UInt8[Tensor, "T H W"]) -> Float64[Tensor, " T"]:
    """Level of every view that maximises the variance between its two classes.

    The lower class includes the level itself. 0 for a view of one level only.
    """
    count = levels.shape[0]
    view = torch.arange(count, device=levels.device).repeat_interleave(levels[0].numel())
    bins = view * LEVELS + levels.reshape(-1)
    histogram = torch.bincount(bins, minlength=count * LEVELS).reshape(count, LEVELS).double()
    share = histogram / histogram.sum(dim=1, keepdim=True)
    level = torch.arange(LEVELS, device=levels.device, dtype=torch.float64)
    below = share.cumsum(dim=1)
    moment = (share * level).cumsum(dim=1)
    valid = torch.minimum(below, 1 - below) > SMALLEST_CLASS
    spread = (moment[:, -1:] * below - moment) ** 2 / (below * (1 - below))
    return torch.where(valid, spread, torch.zeros_like(spread)).argmax(dim=1).double()


def blurry_by_otsu(grey: UInt8[Tensor, "T H W"]) -> Bool[Tensor, "T H W"]:
    """Mark the low Laplacian class of every view; a view without any detail is blurry throughout.

    The split is relative to the view: a perfectly sharp view is split too.
    """
    inverted = inverted_energy(laplacian_energy(grey))
    return inverted > otsu_threshold(inverted)[:, None, None]


def _mirrored(x: Float[Tensor, "T H W"], radius: int) -> Float[Tensor, "T H2 W2"]:
    """Pad by reflection without repeating the edge pixel."""
    return functional.pad(x[:, None], (radius,) * 4, mode="reflect")[:, 0]


def _gaussian(x: Float[Tensor, "T H W"]) -> Float[Tensor, "T H W"]:
    offsets = torch.arange(-GAUSSIAN_RADIUS, GAUSSIAN_RADIUS + 1, dtype=torch.float64)
    weights = torch.exp(-(offsets**2) / (2 * GAUSSIAN_SIGMA**2))
    kernel = (weights / weights.sum()).tolist()
    padded = _mirrored(x, GAUSSIAN_RADIUS)
    return _symmetric(_symmetric(padded, kernel, dim=2), kernel, dim=1)


def _symmetric(x: Tensor, kernel: list[float], dim: int) -> Tensor:
    """Correlate along one axis with a symmetric kernel, without padding.

    A sum of shifted copies: a convolution may change its order of summation with the batch size,
    and truncation to uint8 would show it.
    """
    radius = len(kernel) // 2
    size = x.shape[dim] - 2 * radius
    total = x.narrow(dim, radius, size) * kernel[radius]
    for offset in range(1, radius + 1):
        pair = x.narrow(dim, radius - offset, size) + x.narrow(dim, radius + offset, size)
        total = total + pair * kernel[radius + offset]
    return total
