"""Statistics of group norms, which partial steps share with the full pass that recorded them."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def affine(norm: nn.GroupNorm, device: torch.device) -> tuple[Tensor, Tensor]:
    """Weight and bias in float32; ones and zeros for a norm without them."""
    if norm.affine:
        return norm.weight.float(), norm.bias.float()
    ones = torch.ones(norm.num_channels, device=device)
    return ones, torch.zeros_like(ones)


def float32_group_norm(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """Normalise in float32 whatever the dtype: half-precision sums lose the small groups."""
    weight, bias = affine(norm, x.device)
    # Not F.group_norm, which refuses one row of one pixel: a frame alone on a coarsest level.
    normed = torch.group_norm(x.float(), norm.num_groups, weight, bias, norm.eps)
    return normed.to(x.dtype)


def group_moments(x: Float[Tensor, "R C a b"], groups: int) -> Float[Tensor, "R g 2"]:
    """Per row and group: mean and variance, in float32.

    Sums and sums of squares would have to be float64, because they are subtracted; a variance
    around the row's own mean need not be.
    """
    if x.device.type == "cpu":
        # The norm's own kernel: 20 times as fast as var_mean, which is not vectorised there.
        wide = x.float().contiguous()
        rows, channels = wide.shape[:2]
        cells = wide.shape[2:].numel()
        _, mean, inverse = torch.native_group_norm(
            wide, None, None, rows, channels, cells, groups, 0.0
        )
        return torch.stack([mean, inverse.pow(-2)], dim=-1)
    grouped = x.float().unflatten(1, (groups, -1)).flatten(2)
    variance, mean = torch.var_mean(grouped, -1, correction=0)
    return torch.stack([mean, variance], dim=-1)


def normalised(
    x: Float[Tensor, "R C a b"],
    norm: nn.GroupNorm,
    mean: Float[Tensor, "R g"],
    inverse_deviation: Float[Tensor, "R g"],
) -> Float[Tensor, "R C a b"]:
    """Group normalisation with given statistics, in float32."""
    # One multiply and one add per element: y = x * scale + shift, with per-channel factors.
    weight, bias = (t.unflatten(0, (norm.num_groups, -1)) for t in affine(norm, x.device))
    scale = inverse_deviation[:, :, None] * weight
    shift = (bias - mean[:, :, None] * scale).flatten(1)[:, :, None, None]
    return scaled(x.float(), scale.flatten(1)[:, :, None, None], shift)


def scaled(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``x * scale + shift`` with factors per row and channel."""
    if x.device.type == "cpu" and x.is_contiguous():
        # Two passes with one factor a map are vectorised there; one with two factors is not.
        return torch.mul(x, scale).add_(shift)
    return torch.addcmul(shift, x, scale)


def renewed_norm(
    moments: Float[Tensor, "g T k 2"],
    frames: Int[Tensor, " f"],
    wide: Float[Tensor, "gf C a b"],
    norm: nn.GroupNorm,
) -> Float[Tensor, "gf C a b"]:
    """Norm over the clip on a CPU: its moments with those of the rows written over, and applied.

    The same as :func:`group_moments`, :func:`clip_statistics` and :func:`normalised`.
    """
    from sphinx_framework.executors.folding import folded

    branches, groups = len(moments), norm.num_groups
    rows, channels = wide.shape[:2]
    wide = wide.contiguous()
    _, mean, inverse = torch.native_group_norm(
        wide, None, None, rows, channels, wide.shape[2] * wide.shape[3], groups, 0.0
    )
    weight, bias = affine(norm, wide.device)
    factors = wide.new_empty(2, branches, channels)
    folded(
        moments.numpy(),
        frames.numpy(),
        (mean.numpy(), inverse.numpy()),
        (weight.detach().numpy(), bias.detach().numpy()),
        norm.eps,
        (factors[0].numpy(), factors[1].numpy()),
    )
    scale, shift = factors[:, :, None, :, None, None]
    return scaled(wide.unflatten(0, (branches, -1)), scale, shift).flatten(0, 1)


def clip_statistics(
    moments: Float[Tensor, "gT k 2"], num_frames: int, eps: float
) -> tuple[Tensor, Tensor]:
    """Mean and inverse deviation of each branch's whole clip, repeated for its T frames.

    The frames of a clip have equally many numbers, so the clip's variance is the mean of theirs
    and the variance of their means.
    """
    means, variances = moments.unflatten(0, (-1, num_frames)).unbind(-1)
    spread, mean = torch.var_mean(means, 1, correction=0, keepdim=True)
    inverse = (variances.mean(1, keepdim=True) + spread + eps).rsqrt()
    return (
        mean.expand(-1, num_frames, -1).flatten(0, 1),
        inverse.expand(-1, num_frames, -1).flatten(0, 1),
    )
