"""The quality estimator: a small learned no-reference score with two heads."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.policy.defects import render_share, scarcity, undamaged_share
from sphinx_framework.policy.plausibility import plausibility, plausible_scores
from sphinx_framework.types import ScoreEvidence
from sphinx_framework_lite.config import QualityConfig
from sphinx_framework_lite.departures import DEPARTURES, departures
from sphinx_framework_lite.evidence_features import FEATURES, Known, features, known
from sphinx_framework_lite.statistics import (
    NATURAL,
    OPACITY,
    natural_statistics,
    opacity_statistics,
)
from sphinx_framework_lite.weights import build

HIDDEN = 48
SMALLEST = 32
HEADS = 4
# Where next to nothing is proven, a fifth is left of what tells a score from its render's.
DISTRUST = 0.8
LEAST = 1e-4


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
        return torch.sigmoid(self.plain(features))

    def plain(self, features: Float[Tensor, "V F"]) -> Float[Tensor, " V"]:
        """The number before it is squeezed into (0, 1)."""
        normal = ((features - self.mean) / self.deviation).clamp(-4, 4)
        out: Tensor = self.layers(normal)[:, 0]
        return out


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


class Heads(nn.Module):
    """The mean of some heads, trained apart: one alone depends on its random start."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList([Head(features) for _ in range(HEADS)])

    def forward(self, features: Float[Tensor, "V F"]) -> Float[Tensor, " V"]:
        return torch.sigmoid(self.plain(features))

    def plain(self, features: Float[Tensor, "V F"]) -> Float[Tensor, " V"]:
        """The number before it is squeezed into (0, 1)."""
        return torch.stack([head.plain(features) for head in self.heads]).mean(0)  # type: ignore[operator]


class EvidenceNetwork(nn.Module):
    """Judges by :mod:`sphinx_framework_lite.evidence_features`: a score, and what was lost."""

    def __init__(self) -> None:
        super().__init__()
        self.score = Heads(FEATURES)
        self.lost = Heads(3 * FEATURES + DEPARTURES)


def judged_features(
    images: Float[Tensor, "V 3 H W"], seen: Known, render: Float[Tensor, "V F"]
) -> Float[Tensor, "V G"]:
    """How features changed, how much, the render's, and departures in places.

    What the head looks at that says what was lost. render: features of the renders themselves.
    """
    change = features(images, seen) - render
    others = torch.cat([seen.images, seen.inputs])
    places = departures(images, seen.images, seen.opacity, others)
    return torch.cat([change, change.abs(), render, places], dim=1)


class LiteQuality:
    """Scores in (0, 100): trained to rank by similarity to ground truth, photos near the top.

    With evidence an image is judged by what the photos and their render prove; without any, by its
    own statistics, and pays for noise, compression, blocks, sharpening and casts that neither show
    (:mod:`sphinx_framework.policy.defects`). What is no picture at all (black, one colour, flat
    blocks, white noise) keeps a fiftieth.
    """

    def __init__(
        self, config: QualityConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        self._config = config
        self._network = build(QualityNetwork, "quality", config.weights, device)
        self._judge = build(EvidenceNetwork, "evidence", config.weights, device)

    @torch.no_grad()
    def score(
        self,
        images: Float[Tensor, "V 3 H W"],
        opacity: Float[Tensor, "V H W"] | None = None,
        *,
        evidence: ScoreEvidence | None = None,
    ) -> Float[Tensor, " V"]:
        """One score per image, larger is better; opacity is used where the options allow."""
        if evidence is not None and self._config.use_evidence:
            as_rendered = self._judge.score(_of_renders(evidence)).clamp(min=LEAST)
            if images is evidence.renders:
                return plausible_scores(100 * as_rendered, images)
            seen = features(enlarged(images), _taken_apart(evidence))
            # Where the render is a guess, likeness to it says little: the score stays near its.
            trust = 1 - DISTRUST * scarcity(evidence)
            score = as_rendered * (self._judge.score(seen) / as_rendered) ** trust
            share = undamaged_share(images, evidence) / render_share(evidence)
            return (plausible_scores(100 * score, images) * share).clamp(max=100)
        known_opacity = opacity if self._config.use_opacity else None
        return plausible_scores(100 * self._network(enlarged(images), known_opacity), images)

    @torch.no_grad()
    def lost(
        self, images: Float[Tensor, "V 3 H W"], evidence: ScoreEvidence
    ) -> Float[Tensor, " V"]:
        """PSNR that images probably lost against their renders, in dB; below 0 they gained.

        What is no picture at all lost 10 dB.
        """
        seen = judged_features(enlarged(images), _taken_apart(evidence), _of_renders(evidence))
        lost = self._judge.lost.plain(seen)
        return torch.where(plausibility(images) < 0.5, lost.clamp(min=10), lost)


def _taken_apart(evidence: ScoreEvidence) -> Known:
    """Band maps of the evidence, made once a request."""
    if "lite" not in evidence.memory:
        evidence.memory["lite"] = known(enlarged_evidence(evidence))
    found: Known = evidence.memory["lite"]
    return found


def _of_renders(evidence: ScoreEvidence) -> Float[Tensor, "V F"]:
    """Features of the renders themselves, made once a request."""
    if "lite renders" not in evidence.memory:
        seen = _taken_apart(evidence)
        evidence.memory["lite renders"] = features(seen.images, seen)
    found: Tensor = evidence.memory["lite renders"]
    return found


def enlarged(images: Float[Tensor, "V C H W"]) -> Float[Tensor, "V C a b"]:
    """Images of at least 32 pixels: the features need neighbourhoods."""
    if min(images.shape[-2:]) >= SMALLEST:
        return images
    scale = SMALLEST / min(images.shape[-2:])
    return functional.interpolate(images, scale_factor=scale, mode="bilinear")


def enlarged_evidence(evidence: ScoreEvidence) -> ScoreEvidence:
    """The same of everything that is known."""
    if min(evidence.renders.shape[-2:]) >= SMALLEST:
        return evidence
    opacity, warps, inside = evidence.opacity, evidence.warps, evidence.inside
    return ScoreEvidence(
        inputs=enlarged(evidence.inputs),
        renders=enlarged(evidence.renders),
        opacity=None if opacity is None else enlarged(opacity[:, None])[:, 0],
        warps=None if warps is None else torch.stack([enlarged(warp) for warp in warps]),
        inside=None if inside is None else enlarged(inside),
    )
