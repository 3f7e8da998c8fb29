"""What evidence proves to be damage: the share of a score that a picture keeps.

A score may like what damages a picture: grain and compression look like detail, sharpening like
sharpness. What the photos and the render do not show, the scene does not have, so an image pays for
noise, speckle, compression, blocks, second exposures and sharpening above theirs, and for a colour
cast against its render. A render pays nothing, nor does a refinement that is as clean as the
photos: their scores stay what the estimator said.

Where the photos prove little of a view, its render is a guess, and likeness to it says nothing.
There nothing of speckle, blocks and casts is free, and what is softer than every photo pays.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.policy.damage_measures import (
    FARTHEST,
    blurred,
    echoes,
    emptied,
    lattice,
    luma,
    noise,
    sharpness,
    speckle,
)
from sphinx_framework.types import ScoreEvidence

# Windows, blocks and bands need neighbourhoods; smaller images pay for nothing.
SMALLEST = 24
LEAST_WEIGHT = 1e-3
# Of colours: channels that are nearly black have no gain.
DARK = 0.02
# Variance of luma below which a window has no structure.
FLAT = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What an excess costs: nothing up to ``free``, then ``price`` each, in the score's log.

    strict: per image, share of what is free that costs, too.
    """

    free: float
    price: float

    def of(self, excess: Tensor, strict: Tensor | float = 0.0) -> Tensor:
        return self.price * (excess - self.free * (1 - strict)).clamp(min=0)


# Fitted to ladders of damage on scenes and photographs for training, so that hardly any of their
# truths, or of the systems' frames of them, pays (plugins/lite/training/README.md).
NOISE = Price(free=0.26, price=0.3)
TINTED_NOISE = Price(free=0.3, price=0.2)
SPECKLED = Price(free=0.3, price=0.3)
DOUBLED = Price(free=0.16, price=0.8)
COMPRESSED = Price(free=0.05, price=0.4)
BLOCKED = Price(free=0.004, price=4.0)
FINE = Price(free=0.18, price=0.1)
SLOPE = Price(free=0.12, price=0.15)
CAST = Price(free=0.05, price=0.5)
HALOED = Price(free=0.0, price=0.2)
# Of the measures, log power of the finest band; what less of it than in every photo costs, where
# little is proven.
FINEST = 4
SOFTER = 0.05
# Mean opacity from which on enough of a view is proven, and up to which next to nothing is.
PROVEN, GUESSED = 0.6, 0.2
# Above this coherence a change is nothing but the render's own detail once more. What the shipped
# model adds has 0.4; a render that is the truth exactly, only softer, cannot be told from this.
COHERENT = 0.95


def undamaged_share(
    images: Float[Tensor, "V 3 H W"], evidence: ScoreEvidence
) -> Float[Tensor, " V"]:
    """Share of a score to keep per image, in (0, 1]; 1 for the renders themselves."""
    if min(images.shape[-2:]) < SMALLEST or images is evidence.renders:
        return torch.ones_like(images[:, 0, 0, 0])
    images = images.detach().nan_to_num().clamp(0, 1)
    strict = scarcity(evidence).to(images)
    price = _alone(images, evidence, strict) + _against_the_render(images, evidence, strict)
    return torch.exp(-price)


def render_share(evidence: ScoreEvidence) -> Float[Tensor, " V"]:
    """What a picture just like its render keeps: it pays for softness, where little is proven."""
    renders = evidence.renders
    if min(renders.shape[-2:]) < SMALLEST:
        return torch.ones_like(renders[:, 0, 0, 0])
    known = _undamaged(evidence, renders)
    return torch.exp(-_softness(known.renders, known, scarcity(evidence).to(renders)))


def scarcity(evidence: ScoreEvidence) -> Float[Tensor, " V"]:
    """How little the photos prove of each view, in [0, 1]: 0 where the render is no guess."""
    if evidence.opacity is None:
        return torch.zeros_like(evidence.renders[:, 0, 0, 0])
    proven = evidence.opacity.clamp(0, 1).mean((1, 2))
    return ((PROVEN - proven) / (PROVEN - GUESSED)).clamp(0, 1)


def _measures(images: Tensor) -> Float[Tensor, "V 7"]:
    rows = [noise(images), emptied(images)[:, None], lattice(images)[:, None], sharpness(images)]
    return torch.cat([*rows, speckle(images)[:, None]], dim=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undamaged:
    """Measures of what is known: of renders, the worst of those and photos, the softest photo."""

    renders: Float[Tensor, "V 7"]
    worst: Float[Tensor, "V 7"]
    softest: Float[Tensor, ""]


def _undamaged(evidence: ScoreEvidence, like: Tensor) -> Undamaged:
    """Made once a request."""

    def made() -> Undamaged:
        photos = _measures(evidence.inputs.to(like))
        renders = _measures(evidence.renders.to(like))
        return Undamaged(
            renders=renders,
            worst=torch.maximum(renders, photos.amax(0)),
            softest=photos[:, FINEST].amin(),
        )

    return evidence.remembered("defects", made)


def _softness(found: Tensor, known: Undamaged, strict: Tensor) -> Float[Tensor, " V"]:
    return SOFTER * strict * (known.softest - found[:, FINEST]).clamp(min=0)


def _alone(
    images: Tensor, evidence: ScoreEvidence, strict: Float[Tensor, " V"]
) -> Float[Tensor, " V"]:
    """What is worse than in every photo and in the render; softer than every photo, if strict."""
    known, found = _undamaged(evidence, images), _measures(images)
    excess = found - known.worst
    grain = torch.maximum(NOISE.of(excess[:, 0]), TINTED_NOISE.of(excess[:, 1]))
    grain = torch.maximum(grain, SPECKLED.of(excess[:, 6], strict))
    blocks = COMPRESSED.of(excess[:, 2]) + BLOCKED.of(excess[:, 3], strict)
    sharper = FINE.of(excess[:, FINEST]) + SLOPE.of(excess[:, 5])
    softer = _softness(found, known, strict)
    return grain + blocks + sharper + softer + DOUBLED.of(_second_exposure(images, evidence))


def _second_exposure(images: Tensor, evidence: ScoreEvidence) -> Float[Tensor, " V"]:
    """The strongest echo at a shift at which neither a photo nor the render has one."""
    photos, renders = evidence.inputs.to(images), evidence.renders.to(images)
    sides = (*images.shape[-2:], *photos.shape[-2:])
    reach = min(FARTHEST, min(sides) // 2 - 1)
    known = evidence.remembered(
        "echoes", lambda: torch.maximum(echoes(renders, reach), echoes(photos, reach).amax(0))
    )
    return (echoes(images, reach) - known).amax(1)


def _against_the_render(
    images: Tensor, evidence: ScoreEvidence, strict: Float[Tensor, " V"]
) -> Float[Tensor, " V"]:
    """Casts, and detail of the render that was only made stronger; where the render is certain."""
    renders = evidence.renders.to(images)
    weight = torch.ones_like(renders[:, :1])
    if evidence.opacity is not None:
        weight = evidence.opacity.to(images)[:, None].clamp(0, 1)

    def total(maps: Tensor) -> Tensor:
        return (maps * weight).sum((2, 3))

    def gains(where: Tensor) -> Tensor:
        means = ((maps * where).sum((2, 3)) + 1 for maps in (images, renders))
        return torch.log(next(means) / next(means))

    sure = weight.mean((1, 2, 3))
    # A wrong render has a cast of its own: what the photos show on the whole must agree.
    photos = evidence.inputs.to(images).mean((0, 2, 3))
    whole = ((images.mean((2, 3)) + DARK) / (photos + DARK)).log()
    agreed = torch.minimum(_spread(gains(weight)) * sure, _spread(whole))
    grey = luma(renders)
    # A guess is compared where it has the image's structure, which a cast leaves.
    alike = _spread(gains(weight * _structure(luma(images), grey) ** 4))
    cast = CAST.of(agreed.lerp(alike, strict), strict)
    detail, change = grey - blurred(grey, 1.0), luma(images) - grey
    both, own, all_ = (total(m)[:, 0] for m in (detail * change, detail.square(), change.square()))
    more = both / (own + LEAST_WEIGHT)
    coherence = both / (own * all_ + 1e-9).sqrt()
    halo = ((coherence - COHERENT) / (1 - COHERENT)).clamp(0, 1) * more.clamp(min=0)
    return cast + HALOED.of(halo)


def _structure(a: Tensor, b: Tensor) -> Float[Tensor, "V 1 H W"]:
    """Correlation of two grey pictures within windows of 7 pixels, not below 0."""

    def mean(maps: Tensor) -> Tensor:
        return functional.avg_pool2d(maps, 7, 1, 3, count_include_pad=False)

    first, second = mean(a), mean(b)
    powers = [(mean(x * x) - m * m).clamp(min=0) + FLAT for x, m in ((a, first), (b, second))]
    return ((mean(a * b) - first * second) / (powers[0] * powers[1]).sqrt()).clamp(0, 1)


def _spread(gains: Float[Tensor, "V 3"]) -> Float[Tensor, " V"]:
    """How far the channels' log gains lie apart."""
    return gains.amax(1) - gains.amin(1)
