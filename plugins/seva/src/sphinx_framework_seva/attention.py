"""Cross-attention to the image embedding, and the gated feed-forward."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.protocols import Executor


def of_last_branches(rows: Float[Tensor, "R k C"], x: Float[Tensor, "Q n C"]) -> Tensor:
    """The rows that belong to ``x``, which may hold the last guidance branch alone."""
    return rows if len(rows) == len(x) else rows[-len(x) :]


class CrossAttention(nn.Module):
    """Attention of every token to the context of its row.

    With a single context token the softmax is 1 whatever the query: the result is a constant of
    the request per frame, and neither query, key nor ``norm`` is computed.
    """

    site: str = ""

    def __init__(self, channels: int, context_channels: int, heads: int, head_dim: int) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads = heads
        self.to_q = nn.Linear(channels, inner, bias=False)
        self.to_k = nn.Linear(context_channels, inner, bias=False)
        self.to_v = nn.Linear(context_channels, inner, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(inner, channels)])

    def forward(
        self,
        tokens: Float[Tensor, "R n C"],
        norm: nn.LayerNorm,
        context: Float[Tensor, "gT m D"],
        ops: Executor,
    ) -> Float[Tensor, "R k C"]:
        """Attention output to add to ``tokens``; ``k`` is 1 for a single context token."""
        if context.shape[1] == 1:
            answer = ops.constant(f"{self.site}.answer", lambda: self.to_out[0](self.to_v(context)))
            return of_last_branches(ops.rows(answer), tokens)
        key = ops.rows(ops.constant(f"{self.site}.key", lambda: self.to_k(context)))
        value = ops.rows(ops.constant(f"{self.site}.value", lambda: self.to_v(context)))
        key, value = of_last_branches(key, tokens), of_last_branches(value, tokens)
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for t in (self.to_q(norm(tokens)), key, value)
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        out: Tensor = self.to_out[0](mixed)
        return out


class GatedLinear(nn.Module):
    """One projection, split into value (first) and gate: ``value * GELU(gate)``, exact GELU."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 2 * inner)

    def forward(self, x: Float[Tensor, "R n C"]) -> Float[Tensor, "R n I"]:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return torch.mul(value, F.gelu(gate))


class FeedForward(nn.Module):
    """Gated feed-forward, four times as wide inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            GatedLinear(channels, 4 * channels),
            nn.Identity(),  # the dropout's place, which numbers the projection's key
            nn.Linear(4 * channels, channels),
        )

    def forward(self, x: Float[Tensor, "R n C"]) -> Float[Tensor, "R n C"]:
        out: Tensor = self.net(x)
        return out
