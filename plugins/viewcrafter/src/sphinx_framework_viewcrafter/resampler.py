"""CLIP image tokens to a fixed number of context tokens."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_viewcrafter.config import ResamplerConfig


class PerceiverAttention(nn.Module):
    """Latents attend to the image tokens and to themselves; no biases."""

    def __init__(self, dim: int, heads: int, head_channels: int) -> None:
        super().__init__()
        inner = heads * head_channels
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_kv = nn.Linear(dim, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, dim, bias=False)

    def forward(
        self, tokens: Float[Tensor, "V n C"], latents: Float[Tensor, "V m C"]
    ) -> Float[Tensor, "V m C"]:
        tokens, latents = self.norm1(tokens), self.norm2(latents)
        key, value = self.to_kv(torch.cat([tokens, latents], dim=1)).chunk(2, dim=-1)
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for t in (self.to_q(latents), key, value)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.to_out(mixed.transpose(1, 2).flatten(2))
        return out


class ResamplerLayer(nn.ModuleList):
    """Attention and feed-forward, each added to the latents."""

    def __init__(self, config: ResamplerConfig) -> None:
        hidden = config.feed_forward_mult * config.dim
        feed_forward = nn.Sequential(
            nn.LayerNorm(config.dim),
            nn.Linear(config.dim, hidden, bias=False),
            nn.GELU(),
            nn.Linear(hidden, config.dim, bias=False),
        )
        attention = PerceiverAttention(config.dim, config.heads, config.head_channels)
        super().__init__([attention, feed_forward])

    def forward(
        self, tokens: Float[Tensor, "V n C"], latents: Float[Tensor, "V m C"]
    ) -> Float[Tensor, "V m C"]:
        latents = latents + self[0](tokens, latents)
        out: Tensor = latents + self[1](latents)
        return out


class Resampler(nn.Module):
    """Learned queries, ``num_queries`` for each of ``video_length`` frames, read the image."""

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        count = config.num_queries * config.video_length
        self.latents = nn.Parameter(torch.empty(1, count, config.dim))
        self.proj_in = nn.Linear(config.embedding_dim, config.dim)
        self.proj_out = nn.Linear(config.dim, config.output_dim)
        self.norm_out = nn.LayerNorm(config.output_dim)
        self.layers = nn.ModuleList([ResamplerLayer(config) for _ in range(config.depth)])

    def forward(self, tokens: Float[Tensor, "V n C"]) -> Float[Tensor, "V m D"]:
        """Context tokens of CLIP image tokens."""
        tokens = self.proj_in(tokens)
        latents = self.latents.expand(len(tokens), -1, -1)
        for layer in self.layers:
            latents = layer(tokens, latents)
        out: Tensor = self.norm_out(self.proj_out(latents))
        return out
