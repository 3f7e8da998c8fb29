"""From evidence to the mask of a view."""

from collections.abc import Sequence
from functools import reduce

import torch
from jaxtyping import Bool
from torch import Tensor


def any_evidence(
    evidence: Sequence[Bool[Tensor, "T H W"]], like: Bool[Tensor, "T H W"]
) -> Bool[Tensor, "T H W"]:
    """Mark what any kind of evidence marks.

    like: gives shape and device. Without any evidence nothing is known to be good, so every
        pixel is marked.
    """
    if not evidence:
        return torch.ones_like(like)
    return reduce(torch.logical_or, evidence)


def united_over_views(mask: Bool[Tensor, "T H W"]) -> Bool[Tensor, "T H W"]:
    """Mark a pixel in every view when any view marks it (the authors' rule)."""
    return mask.any(dim=0, keepdim=True).expand_as(mask)


def without_small_areas(mask: Bool[Tensor, "T H W"], min_area: float) -> Bool[Tensor, "T H W"]:
    """Clear the views whose marked share of pixels is below ``min_area``."""
    if min_area <= 0:
        return mask
    return mask & (mask.float().mean(dim=(1, 2), keepdim=True) >= min_area)
