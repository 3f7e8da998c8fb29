"""The multi-view transformer: attention in a frame or the clip, then along time."""

from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework.nn import GroupNorm, SelfAttention
from sphinx_framework.protocols import Executor
from sphinx_framework_seva.attention import CrossAttention, FeedForward
from sphinx_framework_seva.config import GROUPS
from sphinx_framework_seva.signals import Signals


class SpatialBlock(nn.Module):
    """Self-attention within a frame, or over all tokens of the clip (``clip_wide``)."""

    def __init__(
        self, channels: int, heads: int, head_dim: int, context_channels: int, *, clip_wide: bool
    ) -> None:
        super().__init__()
        self.attn1 = SelfAttention(channels, heads, head_dim, "clip" if clip_wide else "frame")
        self.ff = FeedForward(channels)
        self.attn2 = CrossAttention(channels, context_channels, heads, head_dim)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(
        self, z: Float[Tensor, "R n C"], context: Float[Tensor, "gT m D"], ops: Executor
    ) -> Float[Tensor, "R n C"]:
        z = z + self.attn1(self.norm1(z), ops)
        z = z + self.attn2(z, self.norm2, context, ops)
        out: Tensor = z + self.ff(self.norm3(z))
        return out


class TimeBlock(nn.Module):
    """Attention over the frames at each cell; its last feed-forward has no residual."""

    def __init__(self, channels: int, heads: int, head_dim: int, context_channels: int) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(channels)
        self.ff_in = FeedForward(channels)
        self.attn1 = SelfAttention(channels, heads, head_dim, "frames")
        self.ff = FeedForward(channels)
        self.attn2 = CrossAttention(channels, context_channels, heads, head_dim)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(
        self, u: Float[Tensor, "R n C"], context: Float[Tensor, "gT m D"], ops: Executor
    ) -> Float[Tensor, "R n C"]:
        u = u + self.ff_in(self.norm_in(u))
        u = u + self.attn1(self.norm1(u), ops)
        u = u + self.attn2(u, self.norm2, context, ops)
        out: Tensor = self.ff(self.norm3(u))
        return out


class MultiviewTransformer(nn.Module):
    """Pairs of a spatial and a time block on the tokens of each row."""

    def __init__(
        self,
        channels: int,
        heads: int,
        head_dim: int,
        context_channels: int,
        *,
        depth: int = 1,
        clip_wide: bool = False,
    ) -> None:
        super().__init__()
        self.clip_wide = clip_wide
        self.norm = GroupNorm(GROUPS, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList(
            SpatialBlock(channels, heads, head_dim, context_channels, clip_wide=clip_wide)
            for _ in range(depth)
        )
        self.time_mix_blocks = nn.ModuleList(
            TimeBlock(channels, heads, head_dim, context_channels) for _ in range(depth)
        )
        self.proj_out = nn.Linear(channels, channels)

    def forward(
        self, x: Float[Tensor, "R C a b"], signals: Signals, ops: Executor
    ) -> Float[Tensor, "R C a b"]:
        context = signals.leading if self.clip_wide else signals.context
        z = self.proj_in(self.norm(x, ops).flatten(2).transpose(1, 2))
        for spatial, time in zip(self.transformer_blocks, self.time_mix_blocks, strict=True):
            z = spatial(z, context, ops)
            z = z + time(z, signals.leading, ops)
        out: Tensor = self.proj_out(z).transpose(1, 2).unflatten(2, x.shape[2:]) + x
        return out
