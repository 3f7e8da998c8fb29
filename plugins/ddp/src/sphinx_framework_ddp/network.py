"""The network: what every start step is expected to keep of a target's quality.

VideoScene (arXiv 2504.01956) chooses one timestep per clip by a contextual bandit, whose network is
a small convolutional one over the render. No code or weights of it were released, so this design is
ours: one decision per frame, and values of all arms instead of a single choice, so that the quality
asked for can decide between them.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.types import QualityReport

SIDE = 16  # pixels that a view is reduced to
WIDTHS = (16, 32, 64)
LARGEST_RATIO = 2.0
SIDE_FEATURES = 6


class ExpectedQuality(nn.Module):
    """Kept share of full diffusion's score by start step; never falls as the ratio rises."""

    def __init__(self, arms: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 4
        for width in WIDTHS:
            convolution = nn.Conv2d(before, width, 3, stride=2, padding=1)
            layers += [convolution, nn.GroupNorm(8, width), nn.SiLU()]
            before = width
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(before + SIDE_FEATURES, 64), nn.SiLU(), nn.Linear(64, arms)
        )
        self.slope = nn.Parameter(torch.full((arms,), -2.0))

    def forward(
        self,
        views: Float[Tensor, "B 4 s s"],
        told: Float[Tensor, "B 6"],
        ratio: Float[Tensor, " B"],
    ) -> Float[Tensor, "B K"]:
        """Expected kept shares; ``ratio`` acts through slopes that are not negative."""
        seen = torch.cat([self.trunk(views).mean((2, 3)), told], dim=1)
        return self.head(seen) + F.softplus(self.slope) * ratio[:, None]


def state_of(report: QualityReport) -> tuple[Tensor, Tensor, Tensor]:
    """Views, side features and ratios of a request's targets, on the CPU.

    Raises ``ValueError`` for a report without coarse views.
    """
    coarse = report.coarse
    if coarse is None:
        raise ValueError("the report holds no coarse views")
    images = coarse.images.detach().float().cpu()
    opacity = coarse.opacity
    certain = images[:, 0] * 0 + 1 if opacity is None else opacity.detach().float().cpu()
    joined = torch.cat([2 * images - 1, certain[:, None]], dim=1)
    views = F.interpolate(joined, (SIDE, SIDE), mode="area")
    told = torch.stack(
        [
            certain.mean((1, 2)),
            (certain < 0.5).float().mean((1, 2)),
            torch.full((len(certain),), float(opacity is not None)),
            # What the trunk's normalisation takes away: brightness, contrast, and sharpness.
            images.mean((1, 2, 3)),
            images.std((1, 2, 3)),
            _sharpness(images),
        ],
        dim=1,
    )
    ratio = report.ratio.float().cpu().nan_to_num(0.0, posinf=LARGEST_RATIO)
    return views, told, ratio.clamp(0, LARGEST_RATIO)


def _sharpness(images: Float[Tensor, "T 3 H W"]) -> Float[Tensor, " T"]:
    """Logarithm of the mean difference between neighbouring pixels, at full resolution."""
    across, down = (images.diff(dim=axis).abs().mean((1, 2, 3)) for axis in (2, 3))
    return ((across + down) / 2 + 1e-4).log() / 4
