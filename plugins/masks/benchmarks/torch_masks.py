"""The ``opacity-blur`` mask by plain torch, as it was before OpenCV: to compare pixels and time."""

import torch
from torch import Tensor
from torch.nn import functional

GREY_WEIGHTS = (9798, 19235, 3735)  # of red, green and blue, in 15 bits
RADIUS, SIGMA = 4, 1.0
LEVELS = 256
SMALLEST_CLASS = 2.0**-23


def mask(images: Tensor, opacity: Tensor, below: float) -> Tensor:
    """Pixels to refine ``[T, H, W]`` of views in [0, 1]: uncertain or blurry ones, smoothed."""
    levels = (images.clamp(0, 1) * (LEVELS - 1)).round().to(torch.uint8)
    found = (opacity < below) | _blurry(_grey(levels))
    closed = ~_dilated(~_dilated(found, 5), 5)
    opened = _dilated(~_dilated(~closed, 3), 3)
    return _counts(opened, 9) >= 25


def _grey(images: Tensor) -> Tensor:
    weights = torch.tensor(GREY_WEIGHTS, dtype=torch.int32)
    total = (images.to(torch.int32) * weights[:, None, None]).sum(dim=1)
    return ((total + (1 << 14)) >> 15).to(torch.uint8)


def _blurry(grey: Tensor) -> Tensor:
    x = _mirrored(grey.float(), 1)
    rows, columns = x[:, 1:-1], x[..., 1:-1]
    response = rows[..., :-2] + rows[..., 2:] + columns[:, :-2] + columns[:, 2:] - 4 * grey.float()
    energy = _gaussian(response.abs())
    low = energy.amin(dim=(1, 2), keepdim=True).double()
    span = energy.amax(dim=(1, 2), keepdim=True).double() - low
    scale = torch.where(span > 0, (LEVELS - 1) / span, torch.zeros_like(span))
    stretched = energy * scale.float() - (low * scale).float()
    inverted = (LEVELS - 1 - stretched.clamp(0, LEVELS - 1).trunc()).to(torch.uint8)
    return inverted > _otsu(inverted)[:, None, None]


def _otsu(levels: Tensor) -> Tensor:
    count = len(levels)
    view = torch.arange(count).repeat_interleave(levels[0].numel())
    bins = torch.bincount(view * LEVELS + levels.reshape(-1), minlength=count * LEVELS)
    share = bins.reshape(count, LEVELS).double() / levels[0].numel()
    below = share.cumsum(dim=1)
    moment = (share * torch.arange(LEVELS, dtype=torch.float64)).cumsum(dim=1)
    valid = torch.minimum(below, 1 - below) > SMALLEST_CLASS
    spread = (moment[:, -1:] * below - moment) ** 2 / (below * (1 - below))
    return torch.where(valid, spread, torch.zeros_like(spread)).argmax(dim=1)


def _mirrored(x: Tensor, radius: int) -> Tensor:
    return functional.pad(x[:, None], (radius,) * 4, mode="reflect")[:, 0]


def _gaussian(x: Tensor) -> Tensor:
    offsets = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    kernel = (weights / weights.sum()).tolist()
    padded = _mirrored(x, RADIUS)
    return _symmetric(_symmetric(padded, kernel, 2), kernel, 1)


def _symmetric(x: Tensor, kernel: list[float], dim: int) -> Tensor:
    size = x.shape[dim] - 2 * RADIUS
    total = x.narrow(dim, RADIUS, size) * kernel[RADIUS]
    for offset in range(1, RADIUS + 1):
        pair = x.narrow(dim, RADIUS - offset, size) + x.narrow(dim, RADIUS + offset, size)
        total = total + pair * kernel[RADIUS + offset]
    return total


def _dilated(mask: Tensor, window: int) -> Tensor:
    radius = window // 2
    along = functional.max_pool2d(mask[:, None].float(), (window, 1), 1, (radius, 0))
    return functional.max_pool2d(along, (1, window), 1, (0, radius))[:, 0] > 0


def _counts(mask: Tensor, window: int) -> Tensor:
    radius = window // 2
    return functional.avg_pool2d(mask[:, None].float(), window, 1, radius, divisor_override=1)[:, 0]
