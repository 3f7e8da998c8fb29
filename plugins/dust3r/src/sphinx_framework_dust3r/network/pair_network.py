"""The pair network: encode every image once, decode any ordered pair of encoded images."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework.errors import SceneError
from sphinx_framework_dust3r.config import NetworkConfig
from sphinx_framework_dust3r.network.blocks import NORM_EPSILON, DecoderBlock, EncoderBlock
from sphinx_framework_dust3r.network.heads import (
    DPTHead,
    Grid,
    LinearHead,
    points_and_confidence,
)
from sphinx_framework_dust3r.network.rope import RotaryTable, rotary_table, token_positions


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedImages:
    """Tokens of images of one size after ``enc_norm``; ``grid`` is (rows, columns) of tokens."""

    tokens: Float[Tensor, "V n C"]
    grid: Grid

    def __getitem__(self, images: list[int]) -> "EncodedImages":
        return EncodedImages(tokens=self.tokens[images], grid=self.grid)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOutput:
    """Pointmaps of both views **in the camera frame of the first**, and confidences (> 1).

    OpenCV axes; the scale of a pair is arbitrary.
    """

    first_points: Float[Tensor, "B H W 3"]
    first_confidence: Float[Tensor, "B H W"]
    second_points: Float[Tensor, "B h w 3"]
    second_confidence: Float[Tensor, "B h w"]


class PatchEmbedding(nn.Module):
    """Patches to tokens by one strided convolution."""

    def __init__(self, patch_size: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch_size, stride=patch_size)

    def forward(self, images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V n C"]:
        tokens: Tensor = self.proj(images).flatten(2).transpose(1, 2)
        return tokens


class PairNetwork(nn.Module):
    """ViT encoder, two decoders that attend to each other, one head each.

    Parameter names and shapes are those of the official checkpoints.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        encoder = (config.encoder_width, config.encoder_heads, config.mlp_ratio)
        decoder = (config.decoder_width, config.decoder_heads, config.mlp_ratio)
        # In every checkpoint, for masked pre-training; no inference path reads it.
        self.mask_token = nn.Parameter(torch.zeros(1, 1, config.decoder_width))
        self.patch_embed = PatchEmbedding(config.patch_size, config.encoder_width)
        self.enc_blocks = nn.ModuleList(EncoderBlock(*encoder) for _ in range(config.encoder_depth))
        self.enc_norm = nn.LayerNorm(config.encoder_width, NORM_EPSILON)
        self.decoder_embed = nn.Linear(config.encoder_width, config.decoder_width)
        self.dec_blocks = nn.ModuleList(DecoderBlock(*decoder) for _ in range(config.decoder_depth))
        self.dec_norm = nn.LayerNorm(config.decoder_width, NORM_EPSILON)
        self.dec_blocks2 = nn.ModuleList(
            DecoderBlock(*decoder) for _ in range(config.decoder_depth)
        )
        head = DPTHead if config.head == "dpt" else LinearHead
        self.downstream_head1 = head(config)
        self.downstream_head2 = head(config)

    def encode(self, images: Float[Tensor, "V 3 H W"]) -> EncodedImages:
        """Encode images with values in [-1, 1].

        Raises:
            SceneError: height or width is no multiple of the patch size.
        """
        height, width = images.shape[-2:]
        patch = self.config.patch_size
        if height % patch or width % patch:
            raise SceneError(
                f"the pair network needs sides that are multiples of {patch}, got "
                f"{width}x{height} (width x height).",
                hint="Square photos are cut to 4:3: set image_size to a multiple of 64, or "
                "square_ok. Other photos are cut to fit by sphinx_framework_dust3r.images.",
            )
        grid = (height // patch, width // patch)
        x = self.patch_embed(images.to(self.patch_embed.proj.weight.dtype))
        table = self._table(grid, x, self.config.encoder_width // self.config.encoder_heads)
        for block in self.enc_blocks:
            x = block(x, table)
        return EncodedImages(tokens=self.enc_norm(x), grid=grid)

    def decode(self, first: EncodedImages, second: EncodedImages) -> PairOutput:
        """Pointmaps of ordered pairs, row ``i`` of ``first`` with row ``i`` of ``second``."""
        head_dim = self.config.decoder_width // self.config.decoder_heads
        x = self.decoder_embed(first.tokens)
        y = self.decoder_embed(second.tokens)
        tables = self._table(first.grid, x, head_dim), self._table(second.grid, y, head_dim)
        layers = [first.tokens], [second.tokens]
        for block, block2 in zip(self.dec_blocks, self.dec_blocks2, strict=True):
            x, y = block(x, y, *tables), block2(y, x, tables[1], tables[0])
            layers[0].append(x)
            layers[1].append(y)
        layers[0][-1], layers[1][-1] = self.dec_norm(x), self.dec_norm(y)
        points, confidence = points_and_confidence(
            self.downstream_head1([layer.float() for layer in layers[0]], first.grid)
        )
        points2, confidence2 = points_and_confidence(
            self.downstream_head2([layer.float() for layer in layers[1]], second.grid)
        )
        return PairOutput(
            first_points=points,
            first_confidence=confidence,
            second_points=points2,
            second_confidence=confidence2,
        )

    def set_precision(self, dtype: torch.dtype) -> "PairNetwork":
        """Cast encoder and decoders; the heads stay in float32."""
        for name, module in self.named_children():
            if not name.startswith("downstream_head"):
                module.to(dtype)
        return self

    @staticmethod
    def _table(grid: Grid, tokens: Tensor, head_dim: int) -> RotaryTable:
        return rotary_table(token_positions(*grid, tokens.device), head_dim, tokens.dtype)
