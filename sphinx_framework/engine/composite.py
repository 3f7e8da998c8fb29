"""The last touch: lost detail comes back, a share of the render, kept pixels stay exact."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

FEATHER_PIXELS = 4


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


def with_carried_detail(
    decoded: Float[Tensor, "T 3 H W"],
    encoded: Float[Tensor, "T 3 H W"],
    autoencoded: Float[Tensor, "T 3 H W"],
    opacity: Float[Tensor, "T H W"],
) -> Float[Tensor, "T 3 H W"]:
    """Decoded frames plus what encoding and decoding loses of the render, where it saw something.

    encoded: the images that were encoded, the renders. autoencoded: the same, decoded again.
    opacity: of the render, in [0, 1]; where it is 0 the decoded frame stays as it is. Latents that
    were not changed give opaque pixels of the render back exactly, up to rounding. The sum is not
    clamped.
    """
    return decoded + opacity[:, None] * (encoded - autoencoded)


def with_render_share(
    refined: Float[Tensor, "T 3 H W"],
    render: Float[Tensor, "T 3 H W"],
    share: float,
    lateness: Float[Tensor, " T"],
) -> Float[Tensor, "T 3 H W"]:
    """The mean of two estimates of a frame, its refinement and its render.

    Their errors differ, so the mean can be better than both; a network of few steps also smooths
    what it does not know, where the render has texture. share: of the render, in [0, 1), in a frame
    that starts at the very end. lateness: start step over the number of steps, in [0, 1]; frames of
    0 owe nothing to the render and stay as they are.
    """
    weight = (share * lateness)[:, None, None, None]
    return torch.where(weight > 0, refined + weight * (render - refined), refined)
