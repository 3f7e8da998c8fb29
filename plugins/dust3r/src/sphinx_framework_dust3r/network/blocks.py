"""Transformer blocks of encoder and decoders; parameter names are those of the checkpoints."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_dust3r.network.rope import RotaryTable, rotate

NORM_EPSILON = 1e-6


class Mlp(nn.Module):
    """Linear, exact GELU, linear."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width * ratio)
        self.fc2 = nn.Linear(width * ratio, width)

    def forward(self, x: Float[Tensor, "B n C"]) -> Float[Tensor, "B n C"]:
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class Attention(nn.Module):
    """Self-attention with rotary positions; ``qkv`` holds ``[3][heads][head_dim]`` features."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "B n C"], table: RotaryTable) -> Float[Tensor, "B n C"]:
        query, key, value = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(
            rotate(query, table), rotate(key, table), value
        )
        out: Tensor = self.proj(merge_heads(mixed))
        return out


class CrossAttention(nn.Module):
    """Attention from the tokens of one view to those of the other, each at its positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projq = nn.Linear(width, width)
        self.projk = nn.Linear(width, width)
        self.projv = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(
        self,
        x: Float[Tensor, "B n C"],
        other: Float[Tensor, "B m C"],
        table: RotaryTable,
        other_table: RotaryTable,
    ) -> Float[Tensor, "B n C"]:
        query = rotate(split_heads(self.projq(x), self.heads), table)
        key = rotate(split_heads(self.projk(other), self.heads), other_table)
        value = split_heads(self.projv(other), self.heads)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.proj(merge_heads(mixed))
        return out


class EncoderBlock(nn.Module):
    """Pre-norm self-attention and MLP."""

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, NORM_EPSILON)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, NORM_EPSILON)
        self.mlp = Mlp(width, mlp_ratio)

    def forward(self, x: Float[Tensor, "B n C"], table: RotaryTable) -> Float[Tensor, "B n C"]:
        x = x + self.attn(self.norm1(x), table)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class DecoderBlock(nn.Module):
    """Self-attention, cross-attention to the other view's previous layer, and MLP."""

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, NORM_EPSILON)
        self.attn = Attention(width, heads)
        self.norm_y = nn.LayerNorm(width, NORM_EPSILON)
        self.norm2 = nn.LayerNorm(width, NORM_EPSILON)
        self.cross_attn = CrossAttention(width, heads)
        self.norm3 = nn.LayerNorm(width, NORM_EPSILON)
        self.mlp = Mlp(width, mlp_ratio)

    def forward(
        self,
        x: Float[Tensor, "B n C"],
        other: Float[Tensor, "B m C"],
        table: RotaryTable,
        other_table: RotaryTable,
    ) -> Float[Tensor, "B n C"]:
        x = x + self.attn(self.norm1(x), table)
        x = x + self.cross_attn(self.norm2(x), self.norm_y(other), table, other_table)
        out: Tensor = x + self.mlp(self.norm3(x))
        return out


def split_heads(x: Float[Tensor, "B n C"], heads: int) -> Float[Tensor, "B heads n D"]:
    """Channels to heads, heads outermost."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Float[Tensor, "B heads n D"]) -> Float[Tensor, "B n C"]:
    """Inverse of :func:`split_heads`."""
    return x.transpose(1, 2).flatten(2)
