"""Features that know the other views: CNN, window positions, multi-view transformer."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework_mvsplat.cnn import FeatureExtractor
from sphinx_framework_mvsplat.config import EncoderConfig
from sphinx_framework_mvsplat.windows import AttentionGroups, grouped_attention, window_groups

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
TEMPERATURE = 10000.0


def window_positions(
    features: int, size: tuple[int, int], split: int
) -> Float[Tensor, "C height width"]:
    """Sine encoding of one window, repeated over the map of ``size``.

    The first half of the channels encodes the row, the second the column, both counted from 1.
    """
    half = features // 2
    index = torch.arange(half, dtype=torch.float64)
    wavelength = TEMPERATURE ** (2 * (index // 2) / half)

    def axis(length: int) -> Float[Tensor, "half length"]:
        place = torch.arange(1, length + 1, dtype=torch.float64) * 2 * math.pi / (length + 1e-6)
        phase = place / wavelength[:, None]
        return torch.where(index[:, None] % 2 == 0, phase.sin(), phase.cos())

    height, width = size[0] // split, size[1] // split
    rows = axis(height)[:, :, None].expand(-1, -1, width)
    columns = axis(width)[:, None, :].expand(-1, height, -1)
    return torch.cat([rows, columns]).tile(1, split, split).float()


class AttentionLayer(nn.Module):
    """One attention with its output projection and norm; optionally a feed-forward part."""

    def __init__(self, channels: int, expansion: int | None) -> None:
        super().__init__()
        self.q_proj = nn.Linear(channels, channels, bias=False)
        self.k_proj = nn.Linear(channels, channels, bias=False)
        self.v_proj = nn.Linear(channels, channels, bias=False)
        self.merge = nn.Linear(channels, channels, bias=False)
        self.norm1 = nn.LayerNorm(channels)
        self.mlp: nn.Module | None = None
        self.norm2: nn.Module | None = None
        if expansion is not None:
            wide = 2 * channels * expansion
            self.mlp = nn.Sequential(
                nn.Linear(2 * channels, wide, bias=False),
                nn.GELU(),
                nn.Linear(wide, channels, bias=False),
            )
            self.norm2 = nn.LayerNorm(channels)

    def forward(
        self,
        state: Float[Tensor, "b n C"],
        source: Float[Tensor, "b n C"],
        groups: list[AttentionGroups],
    ) -> Float[Tensor, "b n C"]:
        """Return ``state`` plus what it gathers from ``source``."""
        message = grouped_attention(
            self.q_proj(state), self.k_proj(source), self.v_proj(source), groups
        )
        message = self.norm1(self.merge(message))
        if self.mlp is not None and self.norm2 is not None:
            message = self.norm2(self.mlp(torch.cat([state, message], dim=-1)))
        return state + message


class TransformerLayer(nn.Module):
    """Attention within each view, then from each view to all others."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.self_attn = AttentionLayer(channels, None)
        self.cross_attn_ffn = AttentionLayer(channels, expansion)

    def forward(
        self,
        state: Float[Tensor, "b n C"],
        within: list[AttentionGroups],
        across: list[AttentionGroups],
    ) -> Float[Tensor, "b n C"]:
        """Update all views at once; the other views are read as they enter the layer."""
        return self.cross_attn_ffn(self.self_attn(state, state, within), state, across)


class MultiViewTransformer(nn.Module):
    """Layers of window attention; every second one shifts its windows by half."""

    def __init__(self, channels: int, layers: int, expansion: int, split: int) -> None:
        super().__init__()
        self.split = split
        self.layers = nn.ModuleList(TransformerLayer(channels, expansion) for _ in range(layers))

    def forward(self, features: Float[Tensor, "b v C h w"]) -> Float[Tensor, "b v C h w"]:
        """Mix the features of two or more views."""
        views, size = features.shape[1], (features.shape[3], features.shape[4])
        groups = [
            tuple(
                _on(
                    window_groups(size, views, self.split, shifted=shifted, across=across), features
                )
                for across in (False, True)
            )
            for shifted in (False, True)
        ]
        state = features.flatten(3).transpose(2, 3).flatten(1, 2)
        for number, layer in enumerate(self.layers):
            state = layer(state, *groups[number % 2])
        return state.unflatten(1, (views, -1)).transpose(2, 3).unflatten(3, size)


class Backbone(nn.Module):
    """Images in [0, 1] to CNN features and cross-view features, both at a quarter of the size."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.backbone = FeatureExtractor(config.cnn_dims, config.d_feature)
        self.transformer = MultiViewTransformer(
            config.d_feature,
            config.num_transformer_layers,
            config.ffn_dim_expansion,
            config.multiview_trans_attn_split,
        )

    def forward(
        self, images: Float[Tensor, "b v 3 H W"]
    ) -> tuple[Float[Tensor, "b v C h w"], Float[Tensor, "b v C h w"]]:
        """Return ``(cnn_features, transformer_features)``."""
        mean = images.new_tensor(IMAGENET_MEAN)[:, None, None]
        deviation = images.new_tensor(IMAGENET_STD)[:, None, None]
        normal = (images - mean) / deviation
        extracted = self.backbone(normal.flatten(0, 1)).unflatten(0, images.shape[:2])
        positions = window_positions(
            extracted.shape[2], (extracted.shape[3], extracted.shape[4]), self.transformer.split
        )
        return extracted, self.transformer(extracted + positions.to(extracted.device))


def _on(groups: list[AttentionGroups], like: Tensor) -> list[AttentionGroups]:
    return [
        AttentionGroups(queries=group.queries.to(like.device), keys=group.keys.to(like.device))
        for group in groups
    ]
