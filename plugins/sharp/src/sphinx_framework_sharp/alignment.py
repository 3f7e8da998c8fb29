"""The depth-alignment U-Net: used in training, kept so that checkpoints load."""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_sharp.config import AlignmentConfig
from sphinx_framework_sharp.decoder import NormedResidual

GROUPS = 4
NEAREST = 1e-4


class _Encoder(nn.Module):
    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.conv_in = nn.Sequential(
            nn.Conv2d(2, widths[0], 3, padding=1), nn.GroupNorm(GROUPS, widths[0]), nn.ReLU()
        )
        self.convs_down = nn.ModuleList(
            nn.Sequential(
                nn.AvgPool2d(2),
                NormedResidual(fine, coarse, GROUPS),
                NormedResidual(coarse, coarse, GROUPS),
            )
            for fine, coarse in itertools.pairwise(widths)
        )

    def forward(self, x: Float[Tensor, "b 2 h w"]) -> list[Tensor]:
        features = [self.conv_in(x)]
        for step in self.convs_down:
            features.append(step(features[-1]))
        return features


class _Decoder(nn.Module):
    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        coarse_first = widths[::-1]
        steps = []
        for i, (source, width) in enumerate(itertools.pairwise(coarse_first)):
            taken = source if i == 0 else 2 * source
            steps.append(
                nn.Sequential(
                    nn.Upsample(scale_factor=2, mode="nearest"),
                    NormedResidual(taken, width, GROUPS),
                    NormedResidual(width, width, GROUPS),
                )
            )
        self.convs_up = nn.ModuleList(steps)
        self.conv_out = nn.Sequential(
            nn.GroupNorm(GROUPS, 2 * widths[0]),
            nn.ReLU(),
            nn.Conv2d(2 * widths[0], widths[0], 1),
            nn.GroupNorm(GROUPS, widths[0]),
            nn.ReLU(),
        )

    def forward(self, features: list[Tensor]) -> Float[Tensor, "b c h w"]:
        x = features[-1]
        for i, step in enumerate(self.convs_up):
            x = step(x if i == 0 else torch.cat([x, features[-1 - i]], dim=1))
        return self.conv_out(torch.cat([x, features[0]], dim=1))


class ScaleMapEstimator(nn.Module):
    """Predicted and true depth to a positive factor per pixel."""

    def __init__(self, config: AlignmentConfig) -> None:
        super().__init__()
        widths = [config.base_width * 2**k for k in range(config.steps + 1)]
        self.encoder = _Encoder(widths)
        self.decoder = _Decoder(widths)
        self.conv_out = nn.Conv2d(widths[0], 1, 1)

    def forward(
        self, seen: Float[Tensor, "b 1 S S"], truth: Float[Tensor, "b 1 S S"]
    ) -> Float[Tensor, "b 1 S S"]:
        """Factors; both depths are of the visible surface, in metres."""
        pair = torch.cat([1 / seen.clamp(min=NEAREST), 1 / truth.clamp(min=NEAREST)], dim=1)
        factors = self.conv_out(self.decoder(self.encoder(pair))).exp()
        return functional.interpolate(
            factors, size=seen.shape[-2:], mode="bilinear", align_corners=False
        )


class DepthAlignment(nn.Module):
    """Holds the estimator under the checkpoint's name."""

    def __init__(self, config: AlignmentConfig) -> None:
        super().__init__()
        self.scale_map_estimator = ScaleMapEstimator(config)
