"""The quality estimator: a small learned no-reference score, by evidence where there is any."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.policy.defects import render_share, undamaged_share
from sphinx_framework.policy.plausibility import plausibility, plausible_scores
from sphinx_framework.types import ScoreEvidence
from sphinx_framework_lite.config import QualityConfig
from sphinx_framework_lite.departures import DEPARTURES, departures
from sphinx_framework_lite.evidence_features import FEATURES, Known, features, known, seen
from sphinx_framework_lite.heads import Head, Heads
from sphinx_framework_lite.likeness import Likeness, Surroundings
from sphinx_framework_lite.statistics import (
    NATURAL,
    OPACITY,
    natural_statistics,
    opacity_statistics,
)
from sphinx_framework_lite.weights import build

SMALLEST = 32
# Of what proven damage costs, the share that is taken off: most of it the network has seen itself.
PRICED = 0.5


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


class GuardNetwork(nn.Module):
    """Says by :func:`judged_features` how much was lost."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = Heads(3 * FEATURES + DEPARTURES)


def judged_features(
    images: Float[Tensor, "V 3 H W"], evidence: Known, render: Float[Tensor, "V F"]
) -> Float[Tensor, "V G"]:
    """How features changed, how much, the render's, and departures in places.

    What the head looks at that says what was lost. render: features of the renders themselves.
    """
    change = features(images, evidence) - render
    others = torch.cat([evidence.images, evidence.inputs])
    places = departures(images, evidence.images, evidence.opacity, others)
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
        self._likeness = build(Likeness, "likeness", config.weights, device)
        self._guard = build(GuardNetwork, "guard", config.weights, device)

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
            around = _surroundings(evidence)
            if images is evidence.renders:
                score = self._likeness.score(around.maps_of_renders)
            else:
                share = undamaged_share(images, evidence) / render_share(evidence)
                score = self._likeness.score(around.maps(seen(enlarged(images)))) * share**PRICED
            return plausible_scores(100 * score, images).clamp(max=100)
        known_opacity = opacity if self._config.use_opacity else None
        return plausible_scores(100 * self._network(enlarged(images), known_opacity), images)

    @torch.no_grad()
    def lost(
        self, images: Float[Tensor, "V 3 H W"], evidence: ScoreEvidence
    ) -> Float[Tensor, " V"]:
        """PSNR that images probably lost against their renders, in dB; below 0 they gained.

        What is no picture at all lost 10 dB.
        """
        rows = judged_features(enlarged(images), _taken_apart(evidence), _of_renders(evidence))
        lost = self._guard.lost.plain(rows)
        return torch.where(plausibility(images) < 0.5, lost.clamp(min=10), lost)


def _taken_apart(evidence: ScoreEvidence) -> Known:
    """Band maps of the evidence, made once a request."""
    if "lite" not in evidence.memory:
        evidence.memory["lite"] = known(enlarged_evidence(evidence))
    found: Known = evidence.memory["lite"]
    return found


def _surroundings(evidence: ScoreEvidence) -> Surroundings:
    """What frames are compared with cell by cell, made once a request."""
    if "lite surroundings" not in evidence.memory:
        evidence.memory["lite surroundings"] = Surroundings(_taken_apart(evidence))
    found: Surroundings = evidence.memory["lite surroundings"]
    return found


def _of_renders(evidence: ScoreEvidence) -> Float[Tensor, "V F"]:
    """Features of the renders themselves, made once a request."""
    if "lite renders" not in evidence.memory:
        apart = _taken_apart(evidence)
        evidence.memory["lite renders"] = features(apart.images, apart)
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
