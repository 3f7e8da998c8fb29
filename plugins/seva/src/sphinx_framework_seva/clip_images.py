"""How images are brought to the size and range of the CLIP tower."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

SIDE = 224
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def clip_images(images: Float[Tensor, "V 3 H W"], side: int = SIDE) -> Float[Tensor, "V 3 s s"]:
    """Blur against aliasing, resize bicubically with aligned corners, normalise; no clamping.

    Args:
        images: in [0, 1].
        side: of the tower's input.
    """
    blurred = _antialiased(images, side)
    small = F.interpolate(blurred, (side, side), mode="bicubic", align_corners=True)
    mean, deviation = small.new_tensor(MEAN), small.new_tensor(DEVIATION)
    return (small - mean[:, None, None]) / deviation[:, None, None]


def _antialiased(images: Tensor, side: int) -> Tensor:
    """Separable Gaussian blur with reflected borders, where the image shrinks along any axis."""
    factors = (images.shape[2] / side, images.shape[3] / side)
    if max(factors) <= 1:
        return images
    vertical, horizontal = (_gaussian(factor, images) for factor in factors)
    above, left = len(vertical) // 2, len(horizontal) // 2
    padded = F.pad(images, (left, left, above, above), mode="reflect")
    channels = images.shape[1]
    padded = F.conv2d(padded, vertical.view(1, 1, -1, 1).repeat(channels, 1, 1, 1), groups=channels)
    return F.conv2d(padded, horizontal.view(1, 1, 1, -1).repeat(channels, 1, 1, 1), groups=channels)


def _gaussian(factor: float, like: Tensor) -> Float[Tensor, " k"]:
    """Normalised kernel for shrinking an axis by ``factor``."""
    sigma = max((factor - 1) / 2, 0.001)
    size = int(max(4 * sigma, 3))
    size += 1 - size % 2
    offsets = torch.arange(size, dtype=like.dtype, device=like.device) - size // 2
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    return kernel / kernel.sum()
