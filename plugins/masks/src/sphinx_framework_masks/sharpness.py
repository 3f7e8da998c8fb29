"""Blur relative to the sharpness of the input photos: a view as sharp as they are marks nothing.

Otsu's threshold splits every view, however sharp it is (``sphinx_reference`` spec, 11.2 item 10).
The Laplacian energy of a pixel alone cannot tell a blurred texture from a flat wall either. Its
energy at a fine scale over that at a coarser one can: blur removes the fine scale first, and an
edge that is sharp has about the same ratio wherever it stands. The inputs show which ratio is
typical of this place and these cameras.
"""

import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor
from torch.nn import functional

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
    levels = grey.float()
    fine = _absolute_laplacian(levels, 1)
    coarse = _absolute_laplacian(_box_mean(levels, COARSE_STEP), COARSE_STEP)
    return _box_mean(fine, WINDOW), _box_mean(coarse, WINDOW)


def _absolute_laplacian(x: Float32[Tensor, "T H W"], step: int) -> Float32[Tensor, "T H W"]:
    padded = functional.pad(x[:, None], (step,) * 4, mode="reflect")[:, 0]
    rows, columns = padded[:, step:-step], padded[..., step:-step]
    across = rows[..., : -2 * step] + rows[..., 2 * step :]
    along = columns[:, : -2 * step] + columns[:, 2 * step :]
    return (across + along - 4 * x).abs()


def _box_mean(x: Float32[Tensor, "T H W"], window: int) -> Float32[Tensor, "T H W"]:
    padded = functional.pad(x[:, None], (window // 2,) * 4, mode="reflect")
    along = functional.avg_pool2d(padded, (window, 1), 1)
    return functional.avg_pool2d(along, (1, window), 1)[:, 0]
