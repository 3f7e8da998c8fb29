"""The vision transformer of both encoders, with timm's parameter names."""

from collections.abc import Collection

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_sharp.config import ViTConfig

EPSILON = 1e-6
MLP_RATIO = 4


class PatchEmbed(nn.Module):
    """Patches to tokens, row-major."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        size = config.patch_size
        self.proj = nn.Conv2d(3, config.embed_dim, size, stride=size)

    def forward(self, tiles: Float[Tensor, "n 3 P P"]) -> Float[Tensor, "n t c"]:
        """Embed."""
        return self.proj(tiles).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Self-attention over all tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "n t c"]) -> Float[Tensor, "n t c"]:
        """Attend."""
        split = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(split[0], split[1], split[2])
        return self.proj(mixed.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two layers with the exact GELU between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)

    def forward(self, tokens: Float[Tensor, "n t c"]) -> Float[Tensor, "n t c"]:
        """Apply."""
        return self.fc2(functional.gelu(self.fc1(tokens)))


class LayerScale(nn.Module):
    """A learnt factor per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, tokens: Float[Tensor, "n t c"]) -> Float[Tensor, "n t c"]:
        """Scale."""
        return tokens * self.gamma


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = MLP(width)
        self.ls2 = LayerScale(width)

    def forward(self, tokens: Float[Tensor, "n t c"]) -> Float[Tensor, "n t c"]:
        """Apply."""
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        return tokens + self.ls2(self.mlp(self.norm2(tokens)))


class VisionTransformer(nn.Module):
    """Tiles of one fixed size to feature maps; ``head`` is in the checkpoint and never called."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        width = config.embed_dim
        self.grid = config.grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.grid**2, width))
        self.patch_embed = PatchEmbed(config)
        self.blocks = nn.ModuleList(Block(width, config.num_heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.head: nn.Module = nn.Linear(width, config.num_classes)

    def forward(
        self, tiles: Float[Tensor, "n 3 P P"], hooks: Collection[int] = ()
    ) -> tuple[Float[Tensor, "n c G G"], dict[int, Float[Tensor, "n c G G"]]]:
        """Return the normed last features, and the raw outputs of the blocks named by ``hooks``."""
        tokens = self.patch_embed(tiles)
        first = self.cls_token.expand(len(tiles), -1, -1).to(tokens.dtype)
        tokens = torch.cat([first, tokens], dim=1) + self.pos_embed
        seen = {}
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in hooks:
                seen[index] = self._map(tokens)
        return self._map(self.norm(tokens)), seen

    def _map(self, tokens: Float[Tensor, "n t c"]) -> Float[Tensor, "n c G G"]:
        return tokens[:, 1:].transpose(1, 2).unflatten(2, (self.grid, self.grid)).float()
