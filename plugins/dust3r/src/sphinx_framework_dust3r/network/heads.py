"""Heads that turn a view's tokens into four raw channels per pixel: x, y, z and confidence.

Layers, shapes and parameter names are those of the official checkpoints.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_dust3r.config import NetworkConfig

RAW_CHANNELS = 4
SHORTEST = 1e-8

Grid = tuple[int, int]


class LinearHead(nn.Module):
    """One linear layer on the last tokens, then pixel shuffle."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.proj = nn.Linear(config.decoder_width, RAW_CHANNELS * config.patch_size**2)

    def forward(
        self, layers: Sequence[Float[Tensor, "B n C"]], grid: Grid
    ) -> Float[Tensor, "B 4 H W"]:
        return functional.pixel_shuffle(token_map(self.proj(layers[-1]), grid), self.patch_size)


class DPTHead(nn.Module):
    """Dense prediction transformer on four layers of the decoder (keys under ``dpt.``)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.dpt = DensePrediction(config)

    def forward(
        self, layers: Sequence[Float[Tensor, "B n C"]], grid: Grid
    ) -> Float[Tensor, "B 4 H W"]:
        out: Tensor = self.dpt(layers, grid)
        return out


class DensePrediction(nn.Module):
    """Reassemble four layers as a pyramid, fuse it from coarse to fine, predict at full size."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        depth, features = config.decoder_depth, config.dpt_features
        self.hooks = (0, depth * 2 // 4, depth * 3 // 4, depth)
        self.act_postprocess = nn.ModuleList(_reassembly(config, level) for level in range(4))
        self.scratch = Scratch(config.dpt_channels, features)
        self.head = nn.Sequential(
            nn.Conv2d(features, features // 2, 3, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            nn.Conv2d(features // 2, config.dpt_last, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(config.dpt_last, RAW_CHANNELS, 1),
        )

    def forward(
        self, layers: Sequence[Float[Tensor, "B n C"]], grid: Grid
    ) -> Float[Tensor, "B 4 H W"]:
        pyramid = [
            reassemble(token_map(layers[hook], grid))
            for hook, reassemble in zip(self.hooks, self.act_postprocess, strict=True)
        ]
        out: Tensor = self.head(self.scratch(pyramid))
        return out


class Scratch(nn.Module):
    """The fusion part of a DPT: projections to one width and four fusion blocks."""

    def __init__(self, channels: Sequence[int], features: int) -> None:
        super().__init__()
        self.layer1_rn, self.layer2_rn, self.layer3_rn, self.layer4_rn = (
            nn.Conv2d(width, features, 3, padding=1, bias=False) for width in channels
        )
        self.refinenet1 = FusionBlock(features)
        self.refinenet2 = FusionBlock(features)
        self.refinenet3 = FusionBlock(features)
        self.refinenet4 = FusionBlock(features)

    def forward(self, pyramid: Sequence[Float[Tensor, "B c a b"]]) -> Float[Tensor, "B F A W"]:
        """Fuse four levels, finest first, into a map of twice the finest level's size."""
        finest, fine, coarse, coarsest = (
            layer(level)
            for layer, level in zip(
                (self.layer1_rn, self.layer2_rn, self.layer3_rn, self.layer4_rn),
                pyramid,
                strict=True,
            )
        )
        # The coarsest level was halved with rounding up: cut what an odd grid has too much.
        path = self.refinenet4(coarsest)[..., : coarse.shape[-2], : coarse.shape[-1]]
        path = self.refinenet3(path, coarse)
        path = self.refinenet2(path, fine)
        out: Tensor = self.refinenet1(path, finest)
        return out


class FusionBlock(nn.Module):
    """Add a refined skip, refine, double the size.

    ``refinenet4`` has no skip; its ``resConfUnit1`` exists in the checkpoints and is unused.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.resConfUnit1 = ResidualUnit(features)
        self.resConfUnit2 = ResidualUnit(features)
        self.out_conv = nn.Conv2d(features, features, 1)

    def forward(
        self, x: Float[Tensor, "B F a b"], skip: Float[Tensor, "B F a b"] | None = None
    ) -> Float[Tensor, "B F A W"]:
        if skip is not None:
            x = x + self.resConfUnit1(skip)
        doubled = functional.interpolate(
            self.resConfUnit2(x), scale_factor=2, mode="bilinear", align_corners=True
        )
        out: Tensor = self.out_conv(doubled)
        return out


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions, each after a ReLU, added to the input."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Float[Tensor, "B F a b"]) -> Float[Tensor, "B F a b"]:
        out: Tensor = x + self.conv2(functional.relu(self.conv1(functional.relu(x))))
        return out


def token_map(tokens: Float[Tensor, "B n C"], grid: Grid) -> Float[Tensor, "B C a b"]:
    """Row-major tokens as a map of channels."""
    return tokens.transpose(1, 2).unflatten(2, grid)


def points_and_confidence(
    raw: Float[Tensor, "B 4 H W"],
) -> tuple[Float[Tensor, "B H W 3"], Float[Tensor, "B H W"]]:
    """Points ``r / |r| * expm1(|r|)`` and confidence ``1 + exp(raw)``."""
    coordinates = raw[:, :3].permute(0, 2, 3, 1)
    length = torch.linalg.vector_norm(coordinates, dim=-1, keepdim=True)
    points = coordinates / length.clamp(min=SHORTEST) * torch.expm1(length)
    return points, 1 + raw[:, 3].exp()


def _reassembly(config: NetworkConfig, level: int) -> nn.Sequential:
    """Project tokens to the level's channels and resample: 4x, 2x, 1x, and 1/2 rounded up."""
    width = config.encoder_width if level == 0 else config.decoder_width
    channels = config.dpt_channels[level]
    project = nn.Conv2d(width, channels, 1)
    if level == 0:
        return nn.Sequential(project, nn.ConvTranspose2d(channels, channels, 4, stride=4))
    if level == 1:
        return nn.Sequential(project, nn.ConvTranspose2d(channels, channels, 2, stride=2))
    if level == 2:
        return nn.Sequential(project)
    return nn.Sequential(project, nn.Conv2d(channels, channels, 3, stride=2, padding=1))
