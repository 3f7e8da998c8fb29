"""The quality estimator: a small learned no-reference score with two heads."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.policy.plausibility import plausible_scores
from sphinx_framework_lite.config import QualityConfig
from sphinx_framework_lite.statistics import (
    NATURAL,
    OPACITY,
    natural_statistics,
    opacity_statistics,
)
from sphinx_framework_lite.weights import build

HIDDEN = 48


class Head(nn.Module):
    """Standardises features and maps them to a score in (0, 1)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        self.layers = nn.Sequential(
            nn.Linear(features, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, HIDDEN // 2),
            nn.SiLU(),
            nn.Linear(HIDDEN // 2, 1),
        )

    def forward(self, features: Float[Tensor, "V F"]) -> Float[Tensor, " V"]:
        normal = ((features - self.mean) / self.deviation).clamp(-4, 4)
        return torch.sigmoid(self.layers(normal)[:, 0])


class QualityNetwork(nn.Module):
    """One head for images, one for images with the opacity of their render."""

    def __init__(self) -> None:
        super().__init__()
        self.image = Head(NATURAL)
        self.render = Head(NATURAL + OPACITY)

    def forward(
        self, images: Float[Tensor, "V 3 H W"], opacity: Float[Tensor, "V H W"] | None
    ) -> Float[Tensor, " V"]:
        natural = natural_statistics(images)
        if opacity is None:
            score: Tensor = self.image(natural)
        else:
            score = self.render(torch.cat([natural, opacity_statistics(opacity)], dim=1))
        return score


class LiteQuality:
    """Scores in (0, 100): trained to rank by similarity to ground truth, photos near the top.

    What is no picture at all (black, one colour, flat blocks, white noise) keeps a fiftieth.
    """

    def __init__(
        self, config: QualityConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        self._config = config
        self._network = build(QualityNetwork, "quality", config.weights, device)

    @torch.no_grad()
    def score(
        self, images: Float[Tensor, "V 3 H W"], opacity: Float[Tensor, "V H W"] | None = None
    ) -> Float[Tensor, " V"]:
        """One score per image, larger is better; opacity is used where the options allow."""
        working = images
        if min(images.shape[-2:]) < 32:
            scale = 32 / min(images.shape[-2:])
            working = functional.interpolate(images, scale_factor=scale, mode="bilinear")
        known = opacity if self._config.use_opacity else None
        return plausible_scores(100 * self._network(working, known), images)
