"""Uncertain pixels of the coarse views."""

from jaxtyping import Bool, Float
from torch import Tensor


def low_opacity(opacity: Float[Tensor, "T H W"], below: float) -> Bool[Tensor, "T H W"]:
    """Mark pixels whose opacity (1 = certain) is below a threshold (authors: 0.5)."""
    return opacity < below
