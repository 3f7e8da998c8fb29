"""What the score looks at where evidence is known: the render, the photos, their warps.

An image is compared with what is likely to be there: its own spectrum with the photos', its detail
with the render's where that is certain and with the warped photos' where those agree with the
render. The numbers are the same at every image size as far as the picture is (bands in pixels).
"""

from dataclasses import dataclass

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
# A warped photo counts where its luma, blurred by a pixel, is this close to the render's.
APART = 0.06
# Numbers per image.
FEATURES = 91


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Band maps of images: luma, its fine to coarse bands and chroma detail, low colours."""

    grey: Tensor
    bands: list[Tensor]
    colours: Tensor


def seen(images: Float[Tensor, "V 3 H W"]) -> Seen:
    """Decompose images in [0, 1]."""
    grey = luminance(images)
    tint = chroma(images)
    return Seen(
        grey=grey, bands=[*bands(grey)[0], tint - smooth(tint, 1.0)], colours=smooth(images, 3.0)
    )


def energies(view: Seen) -> list[Tensor]:
    """Squared bands, one channel each."""
    return [band.square().mean(dim=1, keepdim=True) for band in view.bands]


def structure(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Structural similarity of luma, weighted."""
    ma, mb = smooth(a, 1.5), smooth(b, 1.5)
    va = (smooth(a * a, 1.5) - ma * ma).clamp(min=0)
    vb = (smooth(b * b, 1.5) - mb * mb).clamp(min=0)
    cov = smooth(a * b, 1.5) - ma * mb
    value = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
    return weighted(value / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4)), weight)


def gradients(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Gradient-magnitude similarity of luma, weighted."""
    x, y = gradient_magnitude(a), gradient_magnitude(b)
    return weighted((2 * x * y + GRADIENT) / (x * x + y * y + GRADIENT), weight)


def agreement(view: Seen, other: Seen, weight: Tensor) -> list[Tensor]:
    """Gain and coherence of every band, structure, gradients and low colours, ``14`` numbers."""
    parts = []
    for ours, theirs in zip(view.bands, other.bands, strict=True):
        both = weighted((ours * theirs).mean(1, keepdim=True), weight)
        mine = weighted(ours.square().mean(1, keepdim=True), weight)
        its = weighted(theirs.square().mean(1, keepdim=True), weight)
        parts.append(((mine + TINY) / (its + TINY)).log())
        parts.append((both + TINY) / ((mine + TINY) * (its + TINY)).sqrt())
    parts += [structure(view.grey, other.grey, weight), gradients(view.grey, other.grey, weight)]
    away = (view.grey - other.grey).square()
    parts.append((weighted(away, weight) + TINY).log())
    low = (view.colours - other.colours).abs()
    parts.append(weighted(low.mean(1, keepdim=True), weight))
    parts.append((low.amax(1, keepdim=True) * weight).amax((1, 2, 3)))
    mean = ((view.colours - other.colours) * weight).sum((2, 3))
    parts.append((mean / weight.sum((2, 3)).clamp(min=1e-3)).abs().amax(1))
    return parts


def own_features(view: Seen) -> list[Tensor]:
    """Spectrum of an image alone, its tails, its neighbours, steps along an 8-pixel lattice."""
    parts = [(square.mean((1, 2, 3)) + TINY).log() for square in energies(view)]
    parts.append((view.grey.var(dim=(1, 2, 3)) + TINY).log())
    for band in view.bands[:BANDS]:
        power = band.square().mean((1, 2, 3)) + TINY
        parts.append(band.abs().mean((1, 2, 3)) / power.sqrt())
        across = (band[..., 1:] * band[..., :-1]).mean((1, 2, 3))
        down = (band[..., 1:, :] * band[..., :-1, :]).mean((1, 2, 3))
        parts.append((across + down) / (2 * power))
    for grey in (view.grey, view.grey.mT):
        steps = grey[..., 1:] - grey[..., :-1]
        size = steps.abs().mean((1, 2))
        border = size[:, 7::8].mean(1)
        other = (size.sum(1) - size[:, 7::8].sum(1)) / (size.shape[1] - size[:, 7::8].shape[1])
        parts.append(((border + 1e-3) / (other + 1e-3)).log())
    return parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Evidence taken apart once, for every image that is compared with it."""

    images: Tensor
    inputs: Tensor
    photos: Seen
    render: Seen
    opacity: Tensor
    sources: list[tuple[Seen, Tensor]]
    common: list[Tensor]


def known(evidence: ScoreEvidence) -> Known:
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
    sure = torch.stack([weight for _, weight in sources]).amax(dim=0)
    common = [solid.mean((1, 2, 3)), (solid < 0.5).float().mean((1, 2, 3)), sure.mean((1, 2, 3))]
    common.append(torch.full_like(common[0], float(evidence.warps is None)))
    common += mixed([agreement(base, *source) for source in sources], sources)
    if len(sources) > 1:
        both = sources[0][1] * sources[1][1]
        common.append(structure(sources[0][0].grey, sources[1][0].grey, both))
    else:
        common.append(torch.ones_like(common[0]))
    return Known(
        images=renders,
        inputs=evidence.inputs,
        photos=seen(evidence.inputs),
        render=base,
        opacity=solid,
        sources=sources,
        common=common,
    )


def mixed(rows: list[list[Tensor]], sources: list[tuple[Seen, Tensor]]) -> list[Tensor]:
    """Mean over sources, by how much of the image each explains."""
    share = torch.stack([weight.mean((1, 2, 3)) for _, weight in sources]) + 1e-4
    share = share / share.sum(dim=0)
    return [(torch.stack(column) * share).sum(dim=0) for column in zip(*rows, strict=True)]


def features(images: Float[Tensor, "V 3 H W"], evidence: Known) -> Float[Tensor, "V F"]:
    """Everything the head sees of each image."""
    view = seen(images)
    parts = own_features(view)
    photos = own_features(evidence.photos)
    parts += [mine - its.mean() for mine, its in zip(parts, photos, strict=True)]
    parts += mixed([agreement(view, *source) for source in evidence.sources], evidence.sources)
    parts += agreement(view, evidence.render, evidence.opacity)
    hidden = 1 - evidence.opacity + 1e-3
    parts += agreement(view, evidence.render, hidden)
    sure = torch.stack([weight for _, weight in evidence.sources]).amax(dim=0)
    for ours, theirs in zip(energies(view), energies(evidence.photos), strict=True):
        parts.append(
            ((weighted(ours, 1.02 - sure.clamp(max=1)) + TINY) / (theirs.mean() + TINY)).log()
        )
    return torch.stack([*parts, *evidence.common], dim=1)
