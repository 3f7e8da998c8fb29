"""Transformers of the U-Net: within a frame with text and image context, and over time.

Only self-attention and the norms go through the executor; everything
else is per token. The temporal ones have neither positions nor a mask: they treat the frames as a
set, so any subset of queries against all keys is exact.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework.nn import SelfAttention
from sphinx_framework.protocols import Executor, Reach
from sphinx_framework_viewcrafter.blocks import Context, Signals, group_norm

NORM_EPS = 1e-6


class GatedGelu(nn.Module):
    """A linear layer whose second half of outputs gates the first."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 2 * hidden)

    def forward(self, x: Float[Tensor, "R n C"]) -> Float[Tensor, "R n D"]:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * functional.gelu(gate)


class FeedForward(nn.Module):
    """Gated feed-forward layer of four times the width; index 1 was a dropout."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 4 * channels
        self.net = nn.ModuleList(
            [GatedGelu(channels, hidden), nn.Identity(), nn.Linear(hidden, channels)]
        )

    def forward(self, x: Float[Tensor, "R n C"]) -> Float[Tensor, "R n C"]:
        for layer in self.net:
            x = layer(x)
        return x


class CrossAttention(nn.Module):
    """Attention to text and to image tokens with separate softmaxes, outputs added.

    Keys and values of the context are the same in every step: computed once per request.
    """

    site: str = ""

    def __init__(self, channels: int, context_dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads = heads
        self.to_q = nn.Linear(channels, inner, bias=False)
        self.to_k = nn.Linear(context_dim, inner, bias=False)
        self.to_v = nn.Linear(context_dim, inner, bias=False)
        self.to_k_ip = nn.Linear(context_dim, inner, bias=False)
        self.to_v_ip = nn.Linear(context_dim, inner, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(inner, channels)])

    def forward(
        self, x: Float[Tensor, "R n C"], context: Context, ops: Executor
    ) -> Float[Tensor, "R n C"]:
        text = ops.constant(
            f"{self.site}.text",
            lambda: torch.cat([self.to_k(context.text), self.to_v(context.text)], dim=-1),
        )
        image = ops.constant(
            f"{self.site}.image.{context.name}",
            lambda: torch.cat([self.to_k_ip(context.image), self.to_v_ip(context.image)], dim=-1),
        )
        query = self.to_q(x)
        # All rows of a branch ask the same tokens: one long query per branch, no copies of keys.
        of_branch = query.unflatten(0, (context.held_branches, -1))
        flat = of_branch.flatten(1, 2)
        mixed = attend(flat, text[context.skipped :], self.heads)
        if context.per_frame:
            own = ops.rows(image)[-len(query) :]
            mixed = mixed.reshape(query.shape) + attend(query, own, self.heads)
        else:
            shared = image[context.skipped :]
            mixed = (mixed + attend(flat, shared, self.heads)).reshape(query.shape)
        out: Tensor = self.to_out[0](mixed)
        return out


def attend(
    query: Float[Tensor, "B n D"], key_value: Float[Tensor, "B m D2"], heads: int
) -> Float[Tensor, "B n D"]:
    """Softmax attention, scale ``1/sqrt(D/heads)``; keys and values side by side."""
    key, value = key_value.chunk(2, dim=-1)
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (query, key, value))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class SpatialBlock(nn.Module):
    """Self-attention within a frame, cross-attention to the context, feed-forward."""

    def __init__(self, channels: int, context_dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.attn1 = SelfAttention(channels, heads, head_dim, "frame")
        self.ff = FeedForward(channels)
        self.attn2 = CrossAttention(channels, context_dim, heads, head_dim)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(
        self, x: Float[Tensor, "R n C"], context: Context, ops: Executor
    ) -> Float[Tensor, "R n C"]:
        x = x + self.attn1(self.norm1(x), ops)
        x = x + self.attn2(self.norm2(x), context, ops)
        out: Tensor = x + self.ff(self.norm3(x))
        return out


class TemporalBlock(nn.Module):
    """Two self-attentions over the frames at a cell, feed-forward; the context is not used."""

    def __init__(self, channels: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.attn1 = SelfAttention(channels, heads, head_dim, "frames")
        self.ff = FeedForward(channels)
        self.attn2 = SelfAttention(channels, heads, head_dim, "frames")
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(
        self, x: Float[Tensor, "R n C"], context: Context, ops: Executor
    ) -> Float[Tensor, "R n C"]:
        x = x + self.attn1(self.norm1(x), ops)
        x = x + self.attn2(self.norm2(x), ops)
        out: Tensor = x + self.ff(self.norm3(x))
        return out


class Transformer(nn.Module):
    """Norm, projection to tokens, blocks, projection back, added to the input."""

    reach: Reach = "frame"

    def __init__(self, channels: int, inner: int, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.norm = group_norm(channels, eps=NORM_EPS, reach=self.reach)
        self.proj_in: nn.Module = nn.Linear(channels, inner)
        self.transformer_blocks = nn.ModuleList(blocks)
        self.proj_out: nn.Module = nn.Linear(inner, channels)

    def forward(
        self, x: Float[Tensor, "R C a b"], signals: Signals, ops: Executor
    ) -> Float[Tensor, "R C a b"]:
        tokens = self.proj_in(self.norm(x, ops).flatten(2).transpose(1, 2))
        for block in self.transformer_blocks:
            tokens = block(tokens, signals.context, ops)
        tokens = self.proj_out(tokens)
        return x + tokens.transpose(1, 2).unflatten(2, x.shape[2:])


class SpatialTransformer(Transformer):
    """Mixes the cells of each frame and brings in the context."""

    def __init__(self, channels: int, head_dim: int, depth: int, context_dim: int) -> None:
        blocks = [
            SpatialBlock(channels, context_dim, channels // head_dim, head_dim)
            for _ in range(depth)
        ]
        super().__init__(channels, channels, list(blocks))


class TemporalTransformer(Transformer):
    """Mixes the frames at each cell; its norm has the statistics of the whole clip."""

    reach: Reach = "frames"

    def __init__(self, channels: int, heads: int, head_dim: int, depth: int) -> None:
        inner = heads * head_dim
        super().__init__(
            channels, inner, [TemporalBlock(inner, heads, head_dim) for _ in range(depth)]
        )


class TokenConv1d(nn.Conv1d):
    """A convolution of kernel 1 over tokens: a linear layer with the checkpoint's weight shape."""

    def forward(self, x: Float[Tensor, "R n C"]) -> Float[Tensor, "R n D"]:
        return functional.linear(x, self.weight[:, :, 0], self.bias)


class InitialTemporalTransformer(TemporalTransformer):
    """The transformer after the first convolution: always eight heads, kernel-1 convolutions."""

    heads = 8

    def __init__(self, channels: int, head_dim: int, depth: int) -> None:
        super().__init__(channels, self.heads, head_dim, depth)
        inner = self.heads * head_dim
        self.proj_in = TokenConv1d(channels, inner, 1)
        self.proj_out = TokenConv1d(inner, channels, 1)
