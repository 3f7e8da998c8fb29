"""The multi-view U-Net: per-frame convolutions and attention, attention across frames.

Written once against :class:`sphinx_framework.protocols.Executor`; it never knows how many frames
or cells it holds. Three levels: frames of 24x24 cells become 12x12 and 6x6.
"""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework.nn import Conv2d, GroupNorm, SelfAttention, bind_sites
from sphinx_framework.protocols import Executor, Reach

WIDTHS = (48, 96, 160)
HEADS = (2, 4, 5)
HEAD_WIDTHS = (16, 16, 32)
REACHES: tuple[tuple[Reach, ...], ...] = (("frames",), ("frames",), ("clip",))
FREQUENCIES = 16
EMBEDDING = 192
GROUPS = 8


class TimedResidual(nn.Module):
    """Two 3x3 convolutions around a skip connection, scaled and shifted by the noise level."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = GroupNorm(GROUPS, channels)
        self.conv1 = Conv2d(channels, out_channels, 3, padding=1)
        self.time = nn.Linear(EMBEDDING, 2 * out_channels)
        self.norm2 = GroupNorm(GROUPS, out_channels)
        self.conv2 = Conv2d(out_channels, out_channels, 3, padding=1)
        self.skip = (
            nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)
        )
        nn.init.zeros_(self.conv2.weight)

    def forward(
        self, x: Float[Tensor, "R C a b"], time: Float[Tensor, "#R E"], ops: Executor
    ) -> Float[Tensor, "R D a b"]:
        h = self.conv1(functional.silu(self.norm1(x, ops)), ops)
        scale, shift = self.time(time)[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h, ops) * (1 + scale) + shift
        out: Tensor = self.skip(x) + self.conv2(functional.silu(h), ops)
        return out


class TokenMixer(nn.Module):
    """Transformer block: self-attention of one or more reaches, then a pointwise network."""

    def __init__(
        self, channels: int, heads: int, head_width: int, reaches: tuple[Reach, ...]
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(channels) for _ in reaches])
        self.mixers = nn.ModuleList(
            [SelfAttention(channels, heads, head_width, reach) for reach in reaches]
        )
        self.norm = nn.LayerNorm(channels)
        self.wide = nn.Linear(channels, 2 * channels)
        self.narrow = nn.Linear(2 * channels, channels)
        for mixer in self.mixers:
            nn.init.zeros_(mixer.to_out[0].weight)  # type: ignore[union-attr, index]
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Float[Tensor, "R C a b"], ops: Executor) -> Float[Tensor, "R C a b"]:
        tokens = x.flatten(2).transpose(1, 2)
        for norm, mixer in zip(self.norms, self.mixers, strict=True):
            tokens = tokens + mixer(norm(tokens), ops)
        tokens = tokens + self.narrow(functional.gelu(self.wide(self.norm(tokens))))
        return tokens.transpose(1, 2).unflatten(2, x.shape[2:])


class _Level(nn.Module):
    """Residual blocks and one mixer at one size."""

    def __init__(self, level: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        width = WIDTHS[level]
        self.blocks = nn.ModuleList([TimedResidual(c, width) for c in channels])
        self.mixer = TokenMixer(width, HEADS[level], HEAD_WIDTHS[level], REACHES[level])

    def forward(self, x: Tensor, time: Tensor, ops: Executor) -> Tensor:
        for block in self.blocks:
            x = block(x, time, ops)
        mixed: Tensor = self.mixer(x, ops)
        return mixed


class MultiViewUNet(nn.Module):
    """Maps noisy latents with their condition to the network output ``F`` of the EDM form."""

    def __init__(self, channels: int, condition_channels: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, EMBEDDING),
            nn.SiLU(),
            nn.Linear(EMBEDDING, EMBEDDING),
            nn.SiLU(),
        )
        self.conv_in = Conv2d(channels + condition_channels, WIDTHS[0], 3, padding=1)
        self.down = nn.ModuleList([_Level(i, (w, w)) for i, w in enumerate(WIDTHS[:-1])])
        self.shrink = nn.ModuleList(
            [Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(WIDTHS)]
        )
        last = len(WIDTHS) - 1
        self.middle = _Level(last, (WIDTHS[last], WIDTHS[last]))
        self.middle_out = _Level(last, (WIDTHS[last],))
        self.grow = nn.ModuleList([Conv2d(b, a, 3, padding=1) for a, b in pairwise(WIDTHS)])
        self.up = nn.ModuleList([_Level(i, (2 * w, w)) for i, w in enumerate(WIDTHS[:-1])])
        self.norm_out = GroupNorm(GROUPS, WIDTHS[0])
        self.conv_out = Conv2d(WIDTHS[0], channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        bind_sites(self)

    def forward(
        self,
        x: Float[Tensor, "R C a b"],
        log_sigma: Float[Tensor, "#R"],
        condition: Float[Tensor, "R D a b"],
        ops: Executor,
    ) -> Float[Tensor, "R C a b"]:
        """``x`` is already scaled to unit variance; ``log_sigma`` is the natural logarithm."""
        time = self.embed(_fourier(log_sigma))
        h = self.conv_in(torch.cat([x, condition], dim=1), ops)
        skips = []
        for level, shrink in zip(self.down, self.shrink, strict=True):
            h = level(h, time, ops)
            skips.append(h)
            h = shrink(h, ops)
        h = self.middle_out(self.middle(h, time, ops), time, ops)
        for level, grow in zip(reversed(self.up), reversed(self.grow), strict=True):
            h = grow(functional.interpolate(h, scale_factor=2.0, mode="nearest"), ops)
            h = level(torch.cat([h, skips.pop()], dim=1), time, ops)
        out: Tensor = self.conv_out(functional.silu(self.norm_out(h, ops)), ops)
        return out


def _fourier(log_sigma: Float[Tensor, "#R"]) -> Float[Tensor, "#R E"]:
    """Sines and cosines of a quarter of the log noise level."""
    frequencies = torch.exp(torch.linspace(0, math.log(40.0), FREQUENCIES, device=log_sigma.device))
    angle = log_sigma[:, None] / 4 * frequencies
    return torch.cat([angle.sin(), angle.cos()], dim=1)
