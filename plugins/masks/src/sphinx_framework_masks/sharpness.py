"""Blur relative to the sharpness of the input photos: a view as sharp as they are marks nothing.

Otsu's threshold splits every view, however sharp it is.
The Laplacian energy of a pixel alone cannot tell a blurred texture from a flat wall either. Its
energy at a fine scale over that at a coarser one can: blur removes the fine scale first, and an
edge that is sharp has about the same ratio wherever it stands. The inputs show which ratio is
typical of this place and these cameras.
"""

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from sphinx_framework_masks.blur import each_view

COARSE_STEP = 3
WINDOW = 17
STRUCTURE_FLOOR = 2.0


def blurrier_than_inputs(
    views: UInt8[Tensor, "T H W"], inputs: UInt8[Tensor, "N H2 W2"], below: float
) -> Bool[Tensor, "T H W"]:
    """Mark pixels whose fine detail is far below what the inputs have for the same structure.

    views, inputs: grey levels.
    below: a pixel is marked under this share of the inputs' median ratio of fine to coarse energy.

    Pixels without structure (coarse energy under two grey levels: a wall, a hole, the rounding to
    uint8) mark nothing, and inputs without any give no reference.
    """
    fine, coarse = _scale_energies(views)
    input_fine, input_coarse = _scale_energies(inputs)
    structured = input_coarse > STRUCTURE_FLOOR
    if not structured.any():
        return torch.zeros_like(views, dtype=torch.bool)
    typical = (input_fine[structured] / input_coarse[structured]).median()
    return (coarse > STRUCTURE_FLOOR) & (fine < below * typical * coarse)


def _scale_energies(
    grey: UInt8[Tensor, "T H W"],
) -> tuple[Float32[Tensor, "T H W"], Float32[Tensor, "T H W"]]:
    """Local means of the absolute Laplacian with steps of 1 and of ``COARSE_STEP`` pixels.

    The coarse one looks at box means of ``COARSE_STEP`` pixels, which aliasing does not reach.
    """

    def fine(view: np.ndarray) -> np.ndarray:
        return _box_mean(_absolute_laplacian(view.astype(np.float32), 1), WINDOW)

    def coarse(view: np.ndarray) -> np.ndarray:
        means = _box_mean(view.astype(np.float32), COARSE_STEP)
        return _box_mean(_absolute_laplacian(means, COARSE_STEP), WINDOW)

    return each_view(fine, grey), each_view(coarse, grey)


def _absolute_laplacian(view: np.ndarray, step: int) -> np.ndarray:
    """The 4-neighbour Laplacian with neighbours ``step`` pixels away."""
    kernel = np.zeros((2 * step + 1, 2 * step + 1), np.float32)
    kernel[step, step] = -4
    kernel[0, step] = kernel[-1, step] = kernel[step, 0] = kernel[step, -1] = 1
    return np.abs(cv2.filter2D(view, cv2.CV_32F, kernel))


def _box_mean(view: np.ndarray, window: int) -> np.ndarray:
    return cv2.boxFilter(view, cv2.CV_32F, (window, window))
