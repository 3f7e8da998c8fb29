"""Blur from the Laplacian response, split by Otsu's threshold, on uint8 grey images, by OpenCV.

Follows the authors' implementation value by value (paper section 5.3): grey levels, 3x3 Laplacian,
9x9 Gaussian of sigma 1 with mirrored borders, min-max to 0..255, Otsu. Views are copied to the CPU,
where the plan is made anyway.
"""

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, UInt8
from torch import Tensor

ChannelOrder = Literal["rgb", "bgr"]
GREY_CODES = {"rgb": cv2.COLOR_RGB2GRAY, "bgr": cv2.COLOR_BGR2GRAY}
GAUSSIAN_WINDOW = (9, 9)
GAUSSIAN_SIGMA = 1.0


def to_uint8(images: Float[Tensor, "T 3 H W"]) -> UInt8[Tensor, "T 3 H W"]:
    """Round images in [0, 1] to 0..255."""
    rounded = torch.empty(images.shape, dtype=torch.uint8, device=images.device)
    for view, made in zip(images, rounded, strict=True):  # one by one they stay in the cache
        made.copy_(view.clamp(0, 1).mul_(255).round_())
    return rounded


def each_view(function: Callable[[np.ndarray], np.ndarray], views: Tensor) -> Tensor:
    """Apply an OpenCV call to every view; the result lies on the CPU."""
    return torch.stack([torch.from_numpy(function(view)) for view in views.cpu().numpy()])


def grey_levels(
    images: UInt8[Tensor, "T 3 H W"], order: ChannelOrder = "rgb"
) -> UInt8[Tensor, "T H W"]:
    """Luma; ``"bgr"`` swaps the weights of red and blue."""
    pixels = images.permute(0, 2, 3, 1).contiguous()
    return each_view(lambda view: cv2.cvtColor(view, GREY_CODES[order]), pixels)


def laplacian_energy(grey: UInt8[Tensor, "T H W"]) -> Float32[Tensor, "T H W"]:
    """Gaussian mean of the absolute 4-neighbour Laplacian, in grey levels."""

    def energy(view: np.ndarray) -> np.ndarray:
        response = np.abs(cv2.Laplacian(view, cv2.CV_32F))
        return cv2.GaussianBlur(response, GAUSSIAN_WINDOW, GAUSSIAN_SIGMA)

    return each_view(energy, grey)


def inverted_energy(energy: Float32[Tensor, "T H W"]) -> UInt8[Tensor, "T H W"]:
    """``255 - trunc(energy)`` after a min-max stretch of every view to 0..255: high is blurry.

    A view of constant energy becomes 255 everywhere.
    """

    def inverted(view: np.ndarray) -> np.ndarray:
        stretched = np.empty_like(view)
        cv2.normalize(view, stretched, 0, 255, cv2.NORM_MINMAX)
        return 255 - stretched.astype(np.uint8)

    return each_view(inverted, energy)


def otsu_threshold(levels: UInt8[Tensor, "T H W"]) -> Float64[Tensor, " T"]:
    """Level of every view that maximises the variance between its two classes.

    The lower class includes the level itself. 0 for a view of one level only.
    """
    mode = cv2.THRESH_BINARY | cv2.THRESH_OTSU
    found = [cv2.threshold(view, 0, 255, mode)[0] for view in levels.cpu().numpy()]
    return torch.tensor(found, dtype=torch.float64)


def blurry_by_otsu(grey: UInt8[Tensor, "T H W"]) -> Bool[Tensor, "T H W"]:
    """Mark the low Laplacian class of every view; a view without any detail is blurry throughout.

    The split is relative to the view: a perfectly sharp view is split too.
    """
    inverted = inverted_energy(laplacian_energy(grey))
    levels = otsu_threshold(inverted).to(torch.uint8)  # whole ones; as bytes they compare fast
    return inverted > levels[:, None, None]
