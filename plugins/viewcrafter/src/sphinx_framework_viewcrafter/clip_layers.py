"""The transformer that both OpenCLIP towers are made of (spec section 3); keys are OpenCLIP's."""

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

MLP_MULT = 4


class PackedAttention(nn.Module):
    """Multi-head self-attention with one packed input projection and biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "V n C"], *, causal: bool) -> Float[Tensor, "V n C"]:
        packed = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in packed.chunk(3, dim=-1)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


class ResidualAttentionBlock(nn.Module):
    """Pre-norm attention and a four times wider exact-GELU layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = PackedAttention(width, heads)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(width, MLP_MULT * width),
                gelu=nn.GELU(),
                c_proj=nn.Linear(MLP_MULT * width, width),
            )
        )

    def forward(self, x: Float[Tensor, "V n C"], *, causal: bool) -> Float[Tensor, "V n C"]:
        x = x + self.attn(self.ln_1(x), causal=causal)
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class ClipTransformer(nn.Module):
    """A stack of blocks over batch-first tokens."""

    def __init__(self, width: int, heads: int, layers: int, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.resblocks = nn.ModuleList(
            [ResidualAttentionBlock(width, heads) for _ in range(layers)]
        )

    def forward(self, x: Float[Tensor, "V n C"]) -> Float[Tensor, "V n C"]:
        for block in self.resblocks:
            x = block(x, causal=self.causal)
        return x
