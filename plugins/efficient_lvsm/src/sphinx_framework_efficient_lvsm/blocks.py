"""Transformer blocks of both streams: no biases, norms without parameters."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5

Heads = Float[Tensor, "B n h c"]


class HeadNorm(nn.Module):
    """RMS norm over a head's channels in float32, with a weight that all heads share."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Heads) -> Heads:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + EPSILON)
        return wide.to(x.dtype) * self.weight.to(x.dtype)


def norm(x: Float[Tensor, "B n d"]) -> Float[Tensor, "B n d"]:
    """Layer norm without parameters, in float32."""
    return functional.layer_norm(x.float(), x.shape[-1:], eps=EPSILON).to(x.dtype)


def attended(query: Heads, key: Heads, value: Heads) -> Float[Tensor, "B n d"]:
    """Softmax attention without a mask, scale by the root of a head's width."""
    by_head = functional.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    )
    return by_head.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Attention among the tokens of one view."""

    def __init__(self, d: int, d_head: int, qk_norm: bool) -> None:
        super().__init__()
        self.d_head = d_head
        self.to_qkv = nn.Linear(d, 3 * d, bias=False)
        self.fc = nn.Linear(d, d, bias=False)
        self.q_norm = HeadNorm(d_head) if qk_norm else nn.Identity()
        self.k_norm = HeadNorm(d_head) if qk_norm else nn.Identity()

    def forward(self, x: Float[Tensor, "B n d"]) -> Float[Tensor, "B n d"]:
        parts = (part.unflatten(-1, (-1, self.d_head)) for part in self.to_qkv(x).chunk(3, -1))
        query, key, value = parts
        return self.fc(attended(self.q_norm(query), self.k_norm(key), value))


class CrossAttention(nn.Module):
    """Attention of target tokens to the input views' tokens, whose keys and values are kept."""

    def __init__(self, d: int, d_head: int, qk_norm: bool) -> None:
        super().__init__()
        self.d_head = d_head
        self.to_q = nn.Linear(d, d, bias=False)
        self.to_kv = nn.Linear(d, 2 * d, bias=False)
        self.fc = nn.Linear(d, d, bias=False)
        self.q_norm = HeadNorm(d_head) if qk_norm else nn.Identity()
        self.k_norm = HeadNorm(d_head) if qk_norm else nn.Identity()

    def keys_values(self, x: Float[Tensor, "B n d"]) -> tuple[Heads, Heads]:
        """Keys (normalised) and values of input tokens: all that is ever needed of them."""
        key, value = (part.unflatten(-1, (-1, self.d_head)) for part in self.to_kv(x).chunk(2, -1))
        return self.k_norm(key), value

    def forward(
        self, y: Float[Tensor, "B n d"], key: Heads, value: Heads
    ) -> Float[Tensor, "B n d"]:
        query = self.q_norm(self.to_q(y).unflatten(-1, (-1, self.d_head)))
        return self.fc(attended(query, key, value))


class MLP(nn.Module):
    """Widening by four, exact GELU."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(d, 4 * d, bias=False), nn.GELU(), nn.Linear(4 * d, d, bias=False)
        )

    def forward(self, x: Float[Tensor, "B n d"]) -> Float[Tensor, "B n d"]:
        return self.mlp(x)


class InputBlock(nn.Module):
    """One layer of the input stream: every view for itself."""

    def __init__(self, d: int, d_head: int, qk_norm: bool) -> None:
        super().__init__()
        self.attn = SelfAttention(d, d_head, qk_norm)
        self.mlp = MLP(d)

    def forward(self, x: Float[Tensor, "B n d"]) -> Float[Tensor, "B n d"]:
        x = x + self.attn(norm(x))
        return x + self.mlp(norm(x))


class TargetBlock(nn.Module):
    """One layer of the target stream: the view itself, then the input views, then the MLP."""

    def __init__(self, d: int, d_head: int, qk_norm: bool) -> None:
        super().__init__()
        self.self_attn = SelfAttention(d, d_head, qk_norm)
        self.cross_attn = CrossAttention(d, d_head, qk_norm)
        self.mlp = MLP(d)

    def keys_values(self, x: Float[Tensor, "B n d"]) -> tuple[Heads, Heads]:
        """Of the input stream's tokens after the same layer."""
        return self.cross_attn.keys_values(norm(x))

    def forward(
        self, y: Float[Tensor, "B n d"], key: Heads, value: Heads
    ) -> Float[Tensor, "B n d"]:
        y = y + self.self_attn(norm(y))
        y = y + self.cross_attn(norm(y), key, value)
        return y + self.mlp(norm(y))
