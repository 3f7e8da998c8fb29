"""Statistics of group norms, which partial steps share with the full pass that recorded them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def affine(norm: nn.GroupNorm, device: torch.device) -> tuple[Tensor, Tensor]:
    """Weight and bias in float32; ones and zeros for a norm without them."""
    if norm.affine:
        return norm.weight.float(), norm.bias.float()
    ones = torch.ones(norm.num_channels, device=device)
    return ones, torch.zeros_like(ones)


def float32_group_norm(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """Normalise in float32 whatever the dtype: half-precision sums lose the small groups."""
    weight, bias = affine(norm, x.device)
    return F.group_norm(x.float(), norm.num_groups, weight, bias, norm.eps).to(x.dtype)


def group_sums(x: Float[Tensor, "R C a b"], groups: int) -> Float[Tensor, "R g 2"]:
    """Per row and group: sum and sum of squares, in float64 (they are subtracted later)."""
    grouped = x.double().unflatten(1, (groups, -1)).flatten(2)
    return torch.stack([grouped.sum(-1), grouped.square().sum(-1)], dim=-1)


def normalised(
    x: Float[Tensor, "R C a b"],
    norm: nn.GroupNorm,
    mean: Float[Tensor, "R g"],
    inverse_deviation: Float[Tensor, "R g"],
) -> Float[Tensor, "R C a b"]:
    """Group normalisation with given statistics."""
    width = x.shape[1] // norm.num_groups
    # One multiply and one add per element: y = x * scale + shift, with per-channel factors.
    weight, bias = affine(norm, x.device)
    scale = inverse_deviation.repeat_interleave(width, 1) * weight
    shift = bias - mean.repeat_interleave(width, 1) * scale
    y = torch.addcmul(shift[:, :, None, None], x.float(), scale[:, :, None, None])
    return y.to(x.dtype)


def clip_statistics(
    sums: Float[Tensor, "gT k 2"], num_frames: int, cells: int, eps: float
) -> tuple[Tensor, Tensor]:
    """Mean and inverse deviation of each branch's whole clip, repeated for its T frames.

    cells: numbers per frame and group that went into the sums.
    """
    per_row = sums.unflatten(0, (-1, num_frames))
    total = per_row.sum(1, keepdim=True) / (num_frames * cells)
    mean = total[..., 0]
    inverse = (total[..., 1] - mean.square() + eps).rsqrt()
    return (
        mean.expand(-1, num_frames, -1).flatten(0, 1),
        inverse.expand(-1, num_frames, -1).flatten(0, 1),
    )
