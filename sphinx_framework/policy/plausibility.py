"""Whether an image can be a picture at all: pure arithmetic, no model, no reference.

No-reference scores are trained on pictures and may say anything about what is none. A black frame,
one colour, a lattice of flat blocks and white noise are none; the share that this module gives is
exactly 1 for everything else, so scores of pictures stay what their estimator said.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.policy.damage_measures import luma

# What is left of a score: positive, because the ratio of paper eq. 2 divides by scores.
LEAST = 0.02
# Deviation of luminance; a white wall under even light has about 0.02.
FLAT, CONTRASTED = 0.004, 0.012
# Correlation of neighbouring pixels: 0 for white noise; pictures with 20 % noise have 0.3 and more.
NOISE, PICTURE = 0.10, 0.20
# Share of lines between pixels that nothing crosses, in the axis that has fewer of them: blocks of
# 2 pixels have 1/2, of 8 pixels 7/8. Less than half an 8-bit level is no crossing.
FEW_LINES, ALL_LINES = 0.25, 0.45
STEP = 0.5 / 255


def plausibility(images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, " V"]:
    """Share of a no-reference score to keep per image, in [0.02, 1]; images in [0, 1].

    Catches what is degenerate over the whole frame. A wrong but natural picture, or one part of a
    frame that is broken, needs evidence beyond the image and is not told here.
    """
    if min(images.shape[-2:]) < 2:  # pixels without neighbours
        return images.new_full((len(images),), LEAST)
    grey = luma(images.detach().clamp(0, 1))[:, 0]
    contrast = grey.flatten(1).std(dim=1, correction=0)
    share = _ramp(contrast, FLAT, CONTRASTED)
    share = share * _ramp(_neighbours(grey), NOISE, PICTURE)
    share = share * (1 - _ramp(_uncrossed(images), FEW_LINES, ALL_LINES))
    return LEAST + (1 - LEAST) * share


def plausible_scores(
    scores: Float[Tensor, " V"], images: Float[Tensor, "V 3 H W"]
) -> Float[Tensor, " V"]:
    """Scores of an estimator with those of no pictures brought down; the others are not touched.

    What an estimator cannot score because an image is none (NaN on one colour) becomes small and
    positive; NaN for a picture stays, for it is an error.
    """
    share = plausibility(images).to(scores)
    lowered = scores.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).clamp(min=1e-3) * share
    return torch.where(share < 1, lowered, scores)


def _ramp(value: Tensor, low: float, high: float) -> Tensor:
    """0 up to ``low``, 1 from ``high``."""
    return ((value - low) / (high - low)).clamp(0, 1)


def _neighbours(grey: Float[Tensor, "V H W"]) -> Float[Tensor, " V"]:
    """Correlation of a pixel with the next, mean over both axes; 1 for images without contrast."""
    centred = grey - grey.mean((1, 2), keepdim=True)
    power = centred.square().mean((1, 2))
    across = (centred[..., 1:] * centred[..., :-1]).mean((1, 2))
    down = (centred[:, 1:] * centred[:, :-1]).mean((1, 2))
    correlation = 0.5 * (across + down) / power.clamp(min=1e-12)
    return torch.where(power > 1e-8, correlation, torch.ones_like(correlation))


def _uncrossed(images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, " V"]:
    """Share of grid lines along which both sides are the same everywhere, the smaller of both axes.

    Lines that lie in borders of one colour do not count: a letterboxed picture is one.
    """
    shares = []
    for x in (images, images.transpose(2, 3)):
        crossed = ((x[..., 1:] - x[..., :-1]).abs() > STEP).any(dim=1).any(dim=1)  # [V, lines]
        count = crossed.sum(dim=1)
        # From the first crossed line to the last one.
        places = torch.arange(crossed.shape[1], device=x.device).expand_as(crossed)
        first = torch.where(crossed, places, crossed.shape[1]).amin(dim=1)
        last = torch.where(crossed, places, -1).amax(dim=1)
        span = (last - first + 1).clamp(min=1)
        shares.append(torch.where(count > 1, 1 - count / span, torch.zeros_like(span / 1.0)))
    return torch.minimum(*shares)
