"""Residual blocks of the U-Net: spatial convolutions per frame, then convolutions over time.

Activations are ``[R C a b]``, one row per held frame or tile. Module
names follow the checkpoint, including its ``temopral_conv``.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework.nn import Conv2d, FrameConv, GroupNorm
from sphinx_framework.protocols import Executor, Reach

NORM_GROUPS = 32
TEMPORAL_STAGES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every transformer attends to besides the activations, for ``g`` guidance branches.

    text: prompt tokens of each branch.
    image: image tokens, ``[g L D]`` shared by all frames, or ``[gT L D]`` when ``per_frame``.
    per_frame: fixed from the whole clip; the number of held frames must not change the branch.
    name: distinguishes the image tokens of the clips of one request.
    skipped: leading branches that the activations leave out.
    """

    text: Float[Tensor, "g n D"]
    image: Float[Tensor, "gT L D"]
    per_frame: bool = False
    name: str = ""
    skipped: int = 0

    @property
    def branches(self) -> int:
        """Number of guidance branches."""
        return self.text.shape[0]

    @property
    def held_branches(self) -> int:
        """Those that the activations have."""
        return self.branches - self.skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Inputs of a block that are not activations.

    embedding: of time and frame rate, one entry for all rows or one per guidance branch.
    """

    embedding: Float[Tensor, "g E"]
    context: Context


def group_norm(channels: int, *, eps: float = 1e-5, reach: Reach = "frame") -> GroupNorm:
    """A 32-group norm over a frame, or over the clip."""
    norm = GroupNorm(NORM_GROUPS, channels, eps=eps)
    norm.reach = reach
    return norm


class NormSiluConv(nn.ModuleDict):
    """Norm, SiLU, convolution; ``key`` is the convolution's index in the checkpoint."""

    def __init__(self, norm: GroupNorm, conv: Conv2d | FrameConv, key: str) -> None:
        super().__init__({"0": norm, key: conv})
        self.key = key

    def forward(self, x: Float[Tensor, "R C a b"], ops: Executor) -> Float[Tensor, "R D a b"]:
        out: Tensor = self[self.key](functional.silu(self["0"](x, ops)), ops)
        return out


class TemporalConv(nn.Module):
    """Four stages of clip-wide norm, SiLU and a convolution over ``t-1, t, t+1``, added to x."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for stage in range(1, TEMPORAL_STAGES + 1):
            norm = group_norm(channels, reach="frames")
            conv = FrameConv(channels, channels, (3, 1, 1), padding=(1, 0, 0))
            # A dropout occupies index 2 of the later stages in the checkpoint.
            self.add_module(f"conv{stage}", NormSiluConv(norm, conv, "2" if stage == 1 else "3"))

    def forward(self, x: Float[Tensor, "R C a b"], ops: Executor) -> Float[Tensor, "R C a b"]:
        y = x
        for stage in self.children():
            y = stage(y, ops)
        return x + y


class ResBlock(nn.Module):
    """Two spatial convolutions with the embedding added in between, then the temporal ones."""

    def __init__(self, channels: int, embedding: int, out_channels: int) -> None:
        super().__init__()
        self.in_layers = NormSiluConv(
            group_norm(channels), Conv2d(channels, out_channels, 3, padding=1), "2"
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, out_channels))
        self.out_layers = NormSiluConv(
            group_norm(out_channels), Conv2d(out_channels, out_channels, 3, padding=1), "3"
        )
        self.skip_connection = (
            nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)
        )
        self.temopral_conv = TemporalConv(out_channels)

    def forward(
        self, x: Float[Tensor, "R C a b"], signals: Signals, ops: Executor
    ) -> Float[Tensor, "R D a b"]:
        h = self.in_layers(x, ops)
        h = h + per_row(self.emb_layers(signals.embedding), h.shape[0])[:, :, None, None]
        h = self.skip_connection(x) + self.out_layers(h, ops)
        out: Tensor = self.temopral_conv(h, ops)
        return out


def per_row(per_branch: Float[Tensor, "g E"], rows: int) -> Float[Tensor, "R E"]:
    """Repeat branch values for their rows (branch-major); a single entry serves all rows."""
    if per_branch.shape[0] == 1:
        return per_branch
    return torch.repeat_interleave(per_branch, rows // per_branch.shape[0], dim=0)
