"""Small networks made of any mixture of executor calls, behind the model's calling convention."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.nn import Conv2d, FrameConv, GroupNorm, SelfAttention, bind_sites
from sphinx_framework.protocols import Executor, Reach, Sight, Tokens

WIDTH = 8
KINDS = (
    "conv",
    "depthwise",
    "dilated",
    "wide",
    "tall",
    "same",
    "norm",
    "clip_norm",
    "frame",
    "frames",
    "clip",
    "frame_conv",
    "across",
    "below",
    "frame_bias",
    "frame_mask",
    "frames_bias",
    "frames_mask",
    "frames_causal",
    "clip_bias",
    "clip_mask",
    "clip_causal",
    "clip_causal_bias",
    "frame_registers",
    "frames_registers",
    "clip_registers",
    "joint",
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
            "same": lambda: Conv2d(WIDTH, WIDTH, (3, 5), padding="same", dilation=(2, 1)),
            "norm": lambda: GroupNorm(2, WIDTH),
            "clip_norm": lambda: GroupNorm(4, WIDTH),
            "frame": lambda: SelfAttention(WIDTH, 2, 4, "frame"),
            "frames": lambda: SelfAttention(WIDTH, 2, 4, "frames"),
            "clip": lambda: SelfAttention(WIDTH, 4, 2, "clip"),
            "frame_conv": lambda: FrameConv(WIDTH, WIDTH, (3, 1, 1)),
            "across": nn.Identity,
            "below": Below,
            "joint": Joint,
        }
        layer = makers[kind]() if kind in makers else Sighted(*kind.split("_", 1))
        if kind == "clip_norm":
            layer.reach = "frames"
        return layer

    def forward(self, x: Tensor, ops: Executor) -> Tensor:
        if self.kind == "across":
            return x + 0.3 * ops.across_frames(self.site, x).square().mean(1)
        if isinstance(self.layer, SelfAttention | Sighted | Joint):
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


class Sighted(nn.Module):
    """Attention with a bias or mask, causal order, or tokens of no frame.

    frames, cells, branches: of a full pass; set by :meth:`MixedModel.denoise`.
    """

    def __init__(self, reach: Reach, what: str) -> None:
        super().__init__()
        self.what = what
        self.attend = SelfAttention(WIDTH, 2, 4, reach)
        self.registers = nn.Parameter(torch.zeros(3, WIDTH))
        self.frames = self.cells = self.branches = 1

    def forward(self, x: Tensor, ops: Executor) -> Tensor:
        bias, key, value = self._bias(), None, None
        if self.what in ("registers", "causal_bias"):
            own = torch.stack([self.registers * (1 + branch) for branch in range(self.branches)])
            key, value = self.attend.to_k(own), self.attend.to_v(own)
        causal = self.what.startswith("causal")
        return self.attend(x, ops, Sight(bias=bias, causal=causal, key=key, value=value))

    def _bias(self) -> Tensor | None:
        """Numbers that differ by branch (and frame), head, query and key."""
        if not self.what.endswith(("bias", "mask")):
            return None
        reach, clip = self.attend.reach, self.frames * self.cells
        side = {"frame": self.cells, "frames": self.frames, "clip": clip}[reach]
        entries = self.branches * (self.frames if reach == "frame" else 1)
        if self.what == "causal_bias":
            entries = 1
        heads = 1 if self.what == "mask" else 2
        count = torch.arange(entries * heads * side * side).view(entries, heads, side, side)
        if self.what == "mask":
            return (count * 7919 % 5 > 1) | torch.eye(side, dtype=torch.bool)
        return 3 * torch.sin(count * 12.9898)


class Joint(nn.Module):
    """A text of three tokens: looks at the frames, is looked at, and is read a second time."""

    def __init__(self) -> None:
        super().__init__()
        self.site = ""
        self.text = nn.Parameter(torch.zeros(3, WIDTH))
        self.own, self.outside = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.again = SelfAttention(WIDTH, 2, 4, "frame")
        self.branches = 1

    def forward(self, x: Tensor, ops: Executor) -> Tensor:
        text = torch.stack([self.text * (1 + branch) for branch in range(self.branches)])
        own, outside = (
            Tokens(query=q, key=k, value=v)
            for q, k, v in (self.own(x).chunk(3, -1), self.outside(text).chunk(3, -1))
        )
        mixed, text = ops.joint_attention(self.site, own, outside, 2)
        sight = Sight(key=self.again.to_k(text), value=self.again.to_v(text))
        return mixed + self.again(x, ops, sight)


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
        for module in self.modules():
            if isinstance(module, Sighted | Joint):
                module.branches = branches
                module.frames, module.cells = len(condition), condition[0, 0].numel()
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
