"""The last touch: regression pixels stay exact where nothing was to be refined."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F


def feathered(mask: Bool[Tensor, "T H W"], radius: int) -> Float[Tensor, "T H W"]:
    """Weight 1 inside the mask, falling linearly to 0 within ``radius`` pixels inside its border.

    Pixels outside of the mask keep weight exactly 0, so they can stay exact.
    """
    if radius == 0:
        return mask.float()
    outside = (~mask).float()[:, None]
    weight = torch.zeros_like(outside)
    for step in range(1, radius + 1):
        reached = F.max_pool2d(outside, 2 * step - 1, stride=1, padding=step - 1)
        weight += 1 - reached
    return (weight / radius)[:, 0]


def composited(
    refined: Float[Tensor, "T 3 H W"],
    coarse: Float[Tensor, "T 3 H W"],
    mask: Bool[Tensor, "T H W"],
    radius: int,
) -> Float[Tensor, "T 3 H W"]:
    """Refined pixels inside the mask, regression pixels outside, blended within ``radius``."""
    weight = feathered(mask, radius)[:, None]
    return torch.where(weight > 0, weight * refined + (1 - weight) * coarse, coarse)
