"""Small networks made of any mixture of executor calls, behind the model's calling convention."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.nn import Conv2d, FrameConv, GroupNorm, SelfAttention, bind_sites
from sphinx_framework.protocols import Executor

WIDTH = 8
KINDS = (
    "conv",
    "depthwise",
    "dilated",
    "wide",
    "tall",
    "norm",
    "clip_norm",
    "frame",
    "frames",
    "clip",
    "frame_conv",
    "across",
    "below",
)


class Mixer(nn.Module):
    """``x`` plus what one executor call makes of it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.site = ""
        self.kind = kind
        self.layer = self._layer(kind)

    def _layer(self, kind: str) -> nn.Module:
        makers: dict[str, Callable[[], nn.Module]] = {
            "conv": lambda: Conv2d(WIDTH, WIDTH, 3, padding=1),
            "depthwise": lambda: Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH, bias=False),
            "dilated": lambda: Conv2d(WIDTH, WIDTH, 3, padding=2, dilation=2),
            "wide": lambda: Conv2d(WIDTH, WIDTH, (1, 5), padding=(0, 2)),
            "tall": lambda: Conv2d(WIDTH, WIDTH, (5, 3), padding=(2, 1)),
            "norm": lambda: GroupNorm(2, WIDTH),
            "clip_norm": lambda: GroupNorm(4, WIDTH),
            "frame": lambda: SelfAttention(WIDTH, 2, 4, "frame"),
            "frames": lambda: SelfAttention(WIDTH, 2, 4, "frames"),
            "clip": lambda: SelfAttention(WIDTH, 4, 2, "clip"),
            "frame_conv": lambda: FrameConv(WIDTH, WIDTH, (3, 1, 1)),
            "across": nn.Identity,
            "below": Below,
        }
        layer = makers[kind]()
        if kind == "clip_norm":
            layer.reach = "frames"
        return layer

    def forward(self, x: Tensor, ops: Executor) -> Tensor:
        if self.kind == "across":
            return x + 0.3 * ops.across_frames(self.site, x).square().mean(1)
        if self.kind in ("frame", "frames", "clip"):
            tokens = self.layer(x.flatten(2).transpose(1, 2), ops)
            return x + tokens.transpose(1, 2).unflatten(2, x.shape[2:])
        return x + self.layer(x, ops)


class Below(nn.Module):
    """One level down by a strided convolution, a convolution there, and up again."""

    def __init__(self) -> None:
        super().__init__()
        self.down = Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.inside = Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.up = Conv2d(WIDTH, WIDTH, 3, padding=1)

    def forward(self, x: Tensor, ops: Executor) -> Tensor:
        low = self.inside(F.silu(self.down(x, ops)), ops)
        return self.up(F.interpolate(low, scale_factor=2.0, mode="nearest"), ops)


class MixedModel(nn.Module):
    """A denoiser of ``[R 3 a b]`` latents that runs ``branches`` guidance branches at once.

    Its condition is one map per frame, ``[T 1 h w]``; the last branch does not see it.
    """

    def __init__(self, kinds: tuple[str, ...], *, branches: int = 1, seed: int = 0) -> None:
        super().__init__()
        self.branches = branches
        self.latent_factor = 1
        self.tile = 4
        self.enter = nn.Conv2d(4, WIDTH, 1)
        self.mixers = nn.ModuleList([Mixer(kind) for kind in kinds])
        self.leave = nn.Conv2d(WIDTH, 3, 1)
        self.requires_grad_(False)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            # Gains near one: a chaotic network would amplify float noise beyond any tolerance.
            scale = max(1, parameter[0].numel()) ** -0.5
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
        bind_sites(self)

    def denoise(self, x: Tensor, step: int, condition: Tensor, ops: Executor) -> Tensor:
        branches = self.branches
        seen = [condition if i == 0 else torch.zeros_like(condition) for i in range(branches)]
        time = torch.full((len(condition) * branches, WIDTH, 1, 1), step / 50)
        hidden = self.enter(torch.cat([x.repeat(branches, 1, 1, 1), ops.maps(torch.cat(seen))], 1))
        hidden = hidden + ops.rows(time)
        for mixer in self.mixers:
            hidden = torch.tanh(mixer(hidden, ops))
        parts = self.leave(hidden).chunk(branches)
        return parts[0] if branches == 1 else parts[1] + 1.5 * (parts[0] - parts[1])


def random_clip(frames: int, size: tuple[int, int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Latents ``[T 3 h w]`` and a condition ``[T 1 h w]``."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(frames, 3, *size, generator=generator)
    return x, torch.randn(frames, 1, *size, generator=generator)
