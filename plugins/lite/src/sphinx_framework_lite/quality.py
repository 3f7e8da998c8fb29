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
from sphinx_framework_lite.evidence_features import FEATURES, Known, Seen, features, known, seen
from sphinx_framework_lite.finisher import Finisher, finished
from sphinx_framework_lite.heads import Head, Heads
from sphinx_framework_lite.likeness import Likeness, Surroundings, stretched
from sphinx_framework_lite.statistics import (
    NATURAL,
    OPACITY,
    natural_statistics,
    opacity_statistics,
)
from sphinx_framework_lite.weights import build, channels_last

SMALLEST = 32
# What likeness that was lost against the render costs in PSNR, in dB.
COST = 28.0


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
    images: Float[Tensor, "V 3 H W"], view: Seen, evidence: Known, render: Float[Tensor, "V F"]
) -> Float[Tensor, "V G"]:
    """How features changed, how much, the render's, and departures in places.

    What the head looks at that says what was lost. view: the images, decomposed. render: features
    of the renders themselves.
    """
    change = features(view, evidence) - render
    others = torch.cat([evidence.images, evidence.inputs])
    places = departures(images, evidence.images, evidence.opacity, others)
    return torch.cat([change, change.abs(), render, places], dim=1)


def judged_loss(head: Float[Tensor, " V"], unlike: Float[Tensor, " V"]) -> Float[Tensor, " V"]:
    """PSNR that was probably lost, in dB: what the head says, or lost likeness, whatever is more.

    The head knows what is wrong in places and in kind, likeness what is wrong a little everywhere.
    """
    return torch.maximum(head, COST * unlike)


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
        self._finisher = build(Finisher, "finisher", config.weights, device)
        channels_last(self._finisher)

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
            around = self._surroundings(evidence)
            if images is evidence.renders:
                score = stretched(self._likeness_of_renders(evidence))
            else:
                share = undamaged_share(images, evidence) / render_share(evidence)
                alike = self._alike(around.maps(seen(enlarged(images))))
                score = stretched(alike) * share
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
        whole, around = enlarged(images), self._surroundings(evidence)
        view, apart = seen(whole), self._taken_apart(evidence)
        head = self._guard.lost.plain(
            judged_features(whole, view, apart, self._of_renders(evidence))
        )
        unlike = self._likeness_of_renders(evidence) - self._alike(around.maps(view))
        lost = judged_loss(head, unlike)
        return torch.where(plausibility(images) < 0.5, lost.clamp(min=10), lost)

    def _alike(self, maps: Float[Tensor, "V F h w"]) -> Float[Tensor, " V"]:
        """Mean likeness of every image to the truth."""
        return self._likeness(maps).mean((1, 2))

    # What follows is made once a request.

    def _taken_apart(self, evidence: ScoreEvidence) -> Known:
        """Band maps of the evidence."""

        def made() -> Known:
            whole = enlarged_evidence(evidence)
            return known(whole, finished(self._finisher, whole.renders, whole))

        return evidence.remembered("lite", made)

    def _surroundings(self, evidence: ScoreEvidence) -> Surroundings:
        """What frames are compared with cell by cell."""
        return evidence.remembered(
            "lite surroundings", lambda: Surroundings(self._taken_apart(evidence))
        )

    def _likeness_of_renders(self, evidence: ScoreEvidence) -> Float[Tensor, " V"]:
        """Of the renders themselves."""
        return evidence.remembered(
            "lite likeness", lambda: self._alike(self._surroundings(evidence).maps_of_renders)
        )

    def _of_renders(self, evidence: ScoreEvidence) -> Float[Tensor, "V F"]:
        """Features of the renders themselves."""
        apart = self._taken_apart(evidence)
        return evidence.remembered("lite renders", lambda: features(apart.render, apart))


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
