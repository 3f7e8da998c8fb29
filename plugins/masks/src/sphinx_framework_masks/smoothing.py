"""Morphology on masks by OpenCV, with the authors' border rules (paper section 5.3)."""

import cv2
import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from sphinx_framework_masks.blur import each_view


def closed(mask: Bool[Tensor, "T H W"], window: int) -> Bool[Tensor, "T H W"]:
    """Fill gaps narrower than the window: dilate, then erode."""
    return _morphed(mask, cv2.MORPH_CLOSE, window)


def opened(mask: Bool[Tensor, "T H W"], window: int) -> Bool[Tensor, "T H W"]:
    """Remove specks narrower than the window: erode, then dilate."""
    return _morphed(mask, cv2.MORPH_OPEN, window)


def dense(mask: Bool[Tensor, "T H W"], window: int, count: int) -> Bool[Tensor, "T H W"]:
    """Mark pixels with at least ``count`` marked pixels in their window.

    Outside the image counts as unmarked, so marks at the border are removed sooner.
    """

    def marked(view: np.ndarray) -> np.ndarray:
        total = cv2.boxFilter(
            view, cv2.CV_32F, (window, window), normalize=False, borderType=cv2.BORDER_CONSTANT
        )
        return total >= count

    return each_view(marked, mask.to(torch.uint8))


def smoothed(
    mask: Bool[Tensor, "T H W"],
    close: int = 5,
    open_: int = 3,
    density_window: int = 9,
    density_count: int = 25,
) -> Bool[Tensor, "T H W"]:
    """Close, open, then density-filter; windows are odd, in pixels."""
    return dense(opened(closed(mask, close), open_), density_window, density_count)


def _morphed(mask: Bool[Tensor, "T H W"], operation: int, window: int) -> Bool[Tensor, "T H W"]:
    kernel = np.ones((window, window), np.uint8)
    return each_view(
        lambda view: cv2.morphologyEx(view, operation, kernel), mask.to(torch.uint8)
    ).bool()
