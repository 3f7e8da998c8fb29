"""What is known, taken apart: band maps for the score and the guard, and the guard's numbers.

An image is compared with what is likely to be there: its own spectrum with the photos', its detail
with the render's where that is certain and with the warped photos' where those agree with the
render. The numbers are the same at every image size as far as the picture is (bands in pixels).
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.types import ScoreEvidence
from sphinx_framework_lite.bands import (
    BANDS,
    bands,
    chroma,
    gradient_magnitude,
    luminance,
    smooth,
    weighted,
)

TINY = 1e-5
GRADIENT = 0.0026
# Deviation in pixels of what "around a pixel" means.
WINDOW = 1.5
# A warped photo counts where its luma, blurred by a pixel, is this close to the render's.
APART = 0.06
# Numbers per image.
FEATURES = 91


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Band maps of images: luma, its fine to coarse bands and chroma detail, low colours.

    What comparisons need of one side alone is made when it is first asked for, and kept.
    """

    grey: Tensor
    bands: list[Tensor]
    colours: Tensor

    @cached_property
    def energies(self) -> list[Tensor]:
        """Squared bands, one channel each."""
        return [band.square().mean(dim=1, keepdim=True) for band in self.bands]

    @cached_property
    def local(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of luma around every pixel."""
        mean = smooth(self.grey, WINDOW)
        return mean, (smooth(self.grey * self.grey, WINDOW) - mean * mean).clamp(min=0)

    @cached_property
    def slopes(self) -> Tensor:
        """Gradient magnitude of luma."""
        return gradient_magnitude(self.grey)

    @cached_property
    def own(self) -> list[Tensor]:
        """Spectrum of an image alone, its tails, its neighbours, steps along an 8-pixel lattice."""
        parts = [(square.mean((1, 2, 3)) + TINY).log() for square in self.energies]
        parts.append((self.grey.var(dim=(1, 2, 3)) + TINY).log())
        for band in self.bands[:BANDS]:
            power = band.square().mean((1, 2, 3)) + TINY
            parts.append(band.abs().mean((1, 2, 3)) / power.sqrt())
            across = (band[..., 1:] * band[..., :-1]).mean((1, 2, 3))
            down = (band[..., 1:, :] * band[..., :-1, :]).mean((1, 2, 3))
            parts.append((across + down) / (2 * power))
        for grey in (self.grey, self.grey.mT):
            steps = grey[..., 1:] - grey[..., :-1]
            size = steps.abs().mean((1, 2))
            border = size[:, 7::8].mean(1)
            other = (size.sum(1) - size[:, 7::8].sum(1)) / (size.shape[1] - size[:, 7::8].shape[1])
            parts.append(((border + 1e-3) / (other + 1e-3)).log())
        return parts


def seen(images: Float[Tensor, "V 3 H W"]) -> Seen:
    """Decompose images in [0, 1]."""
    grey = luminance(images)
    tint = chroma(images)
    return Seen(
        grey=grey, bands=[*bands(grey)[0], tint - smooth(tint, 1.0)], colours=smooth(images, 3.0)
    )


def structure(a: Seen, b: Seen) -> Tensor:
    """Map of structural similarity of luma."""
    (ma, va), (mb, vb) = a.local, b.local
    cov = smooth(a.grey * b.grey, WINDOW) - ma * mb
    value = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
    return value / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4))


class Compared:
    """Maps of how two views of the same pixels agree, to be weighed by any map."""

    def __init__(self, view: Seen, other: Seen) -> None:
        self._energies = list(zip(view.energies, other.energies, strict=True))
        self.both = [
            (ours * theirs).mean(1, keepdim=True)
            for ours, theirs in zip(view.bands, other.bands, strict=True)
        ]
        self.structure = structure(view, other)
        x, y = view.slopes, other.slopes
        self.gradients = (2 * x * y + GRADIENT) / (x * x + y * y + GRADIENT)
        self.away = (view.grey - other.grey).square()
        self.apart = view.colours - other.colours

    @cached_property
    def _low(self) -> tuple[Tensor, Tensor]:
        low = self.apart.abs()
        return low.mean(1, keepdim=True), low.amax(1, keepdim=True)

    def under(self, weight: Float[Tensor, "V 1 H W"]) -> list[Tensor]:
        """Gain and coherence of every band, structure, gradients, low colours: ``14`` numbers."""
        parts = []
        for both, (ours, theirs) in zip(self.both, self._energies, strict=True):
            shared, mine, its = (weighted(x, weight) for x in (both, ours, theirs))
            parts.append(((mine + TINY) / (its + TINY)).log())
            parts.append((shared + TINY) / ((mine + TINY) * (its + TINY)).sqrt())
        parts += [weighted(self.structure, weight), weighted(self.gradients, weight)]
        parts.append((weighted(self.away, weight) + TINY).log())
        mean, most = self._low
        parts.append(weighted(mean, weight))
        parts.append((most * weight).amax((1, 2, 3)))
        cast = (self.apart * weight).sum((2, 3))
        parts.append((cast / weight.sum((2, 3)).clamp(min=1e-3)).abs().amax(1))
        return parts


@dataclass(frozen=True, kw_only=True)
class Known:
    """Evidence taken apart once, for every image that is compared with it.

    expected: the renders as the finisher would serve them (``finisher.py``), the nearest to the
    truth that is known without refinement.
    """

    images: Tensor
    inputs: Tensor
    photos: Seen
    render: Seen
    expected: Seen
    opacity: Tensor
    sources: list[tuple[Seen, Tensor]]
    has_warps: bool

    @cached_property
    def sure(self) -> Tensor:
        """What the best source explains of every pixel."""
        return torch.stack([weight for _, weight in self.sources]).amax(dim=0)

    @cached_property
    def agreed(self) -> list[Tensor]:
        """How the render agrees with the sources."""
        return with_sources(self.render, self.sources)

    @cached_property
    def common(self) -> list[Tensor]:
        """Numbers that every image of a view shares."""
        solid = self.opacity
        shares = [solid.mean((1, 2, 3)), (solid < 0.5).float().mean((1, 2, 3))]
        shares.append(self.sure.mean((1, 2, 3)))
        without = torch.full_like(shares[0], float(not self.has_warps))
        alike = torch.ones_like(shares[0])
        if len(self.sources) > 1:
            (first, one), (second, two) = self.sources[:2]
            alike = weighted(structure(first, second), one * two)
        return [*shares, without, *self.agreed, alike]


def known(evidence: ScoreEvidence, expected: Float[Tensor, "V 3 H W"]) -> Known:
    """Band maps and weights of the evidence; without warps the render stands in for them."""
    renders = evidence.renders
    solid = torch.ones_like(renders[:, :1])
    if evidence.opacity is not None:
        solid = evidence.opacity[:, None].clamp(0, 1)
    base = seen(renders)
    sources = [(base, solid)]
    if evidence.warps is not None and evidence.inside is not None:
        plain = smooth(base.grey, 1.0)
        sources = []
        for warp, inside in zip(evidence.warps, evidence.inside, strict=True):
            view = seen(warp)
            near = torch.exp(-(smooth(view.grey, 1.0) - plain).abs() / APART)
            sources.append((view, inside[:, None] * (0.02 + solid) * near))
    return Known(
        images=renders,
        inputs=evidence.inputs,
        photos=seen(evidence.inputs),
        render=base,
        expected=seen(expected),
        opacity=solid,
        sources=sources,
        has_warps=evidence.warps is not None,
    )


def with_sources(view: Seen, sources: list[tuple[Seen, Tensor]]) -> list[Tensor]:
    """Agreement with every source, in the mean by how much of the image each explains."""
    rows = [Compared(view, other).under(weight) for other, weight in sources]
    share = torch.stack([weight.mean((1, 2, 3)) for _, weight in sources]) + 1e-4
    share = share / share.sum(dim=0)
    return [(torch.stack(column) * share).sum(dim=0) for column in zip(*rows, strict=True)]


def features(view: Seen, evidence: Known) -> Float[Tensor, "V F"]:
    """Everything that the guard sees of each image of a view."""
    itself, sources = view is evidence.render, evidence.sources
    parts = list(view.own)
    parts += [mine - its.mean() for mine, its in zip(parts, evidence.photos.own, strict=True)]
    parts += evidence.agreed if itself else with_sources(view, sources)
    with_render = Compared(view, evidence.render)
    parts += with_render.under(evidence.opacity)
    parts += with_render.under(1 - evidence.opacity + 1e-3)
    unsure = 1.02 - evidence.sure.clamp(max=1)
    for ours, theirs in zip(view.energies, evidence.photos.energies, strict=True):
        parts.append(((weighted(ours, unsure) + TINY) / (theirs.mean() + TINY)).log())
    return torch.stack([*parts, *evidence.common], dim=1)
