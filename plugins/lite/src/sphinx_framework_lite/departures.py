"""How a picture departs from its render, place by place: what means over the frame do not show.

A view that lies two pixels aside, the frame of a neighbour, a foreign square: all of them keep the
frame's statistics, and most of its structure. They show in how far structure moved, in which view
the picture is most like, and in the worst places.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework_lite.bands import bands, luminance, smooth

# Numbers per image.
DEPARTURES = 33
CELLS = 12
PARTS = 4
# Shifts that are looked for, in pixels either way.
REACH = 4
# A cell's worth of structure below which its likeness says nothing (variance of luma in [0, 1]).
FLAT = 2e-4
# Views whose structure correlates as much are one and the same.
SAME = 0.999
SOLID = 0.3


def departures(
    images: Float[Tensor, "V 3 H W"],
    renders: Float[Tensor, "V 3 H W"],
    opacity: Float[Tensor, "V 1 H W"],
    others: Float[Tensor, "K 3 H W"],
) -> Float[Tensor, "V D"]:
    """Moved structure, likeness to other views, and the worst cells, of each image.

    others: what none of the images should be: photos, and the renders of other views (a view that
    is the same as its own render is left out for it).
    """
    fine, base = structure(images), structure(renders)
    parts = moved(images, renders, opacity)
    parts += aside(fine, base, opacity)
    parts += likeness(fine, base, opacity, structure(others))
    parts += worst_cells(images, renders, opacity)
    return torch.stack(parts, dim=1)


def structure(images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V 1 H W"]:
    """Luma between half a pixel's and five pixels' blur: where things are, not their colours."""
    grey = smooth(luminance(images), 0.6)
    return grey - smooth(grey, 5.0)


def moved(images: Tensor, renders: Tensor, opacity: Tensor) -> list[Tensor]:
    """Least-squares shift of the whole and of its parts, and what it explains of the difference.

    After Lucas and Kanade 1981, at two scales; nothing is warped, so shifts of more than the blur
    are underestimated.
    """
    found = []
    for sigma in (1.0, 2.5):
        ours, theirs = (smooth(luminance(x), sigma) for x in (images, renders))
        mean = 0.5 * (ours + theirs)
        across = functional.pad(mean, (1, 1, 0, 0), mode="replicate")
        down = functional.pad(mean, (0, 0, 1, 1), mode="replicate")
        x = 0.5 * (across[..., 2:] - across[..., :-2])
        y = 0.5 * (down[..., 2:, :] - down[..., :-2, :])
        apart = ours - theirs
        apart = apart - (apart * opacity).sum((2, 3), keepdim=True) / opacity.sum(
            (2, 3), keepdim=True
        ).clamp(min=1e-3)
        stack = torch.cat([x * x, x * y, y * y, x * apart, y * apart, apart * apart], dim=1)
        for cells in (1, PARTS):
            sums = functional.adaptive_avg_pool2d(stack * opacity, cells)
            share = functional.adaptive_avg_pool2d(opacity, cells)[:, 0].flatten(1)
            length, gained = _solved(sums)
            found += [_mean(length, share), _mean(gained, share)]
            if cells > 1:
                found.append((length * (share > SOLID)).amax(1))
    return found


def _solved(sums: Float[Tensor, "V 6 a b"]) -> tuple[Tensor, Tensor]:
    """Length of every part's shift, in pixels, and the share of the difference it explains."""
    xx, xy, yy, xd, yd, dd = sums.flatten(2).unbind(1)
    xx, yy = xx + 1e-5, yy + 1e-5
    determinant = xx * yy - xy * xy
    right, low = (yy * xd - xy * yd) / determinant, (xx * yd - xy * xd) / determinant
    length = (right.square() + low.square()).clamp(max=36).sqrt()
    return length, ((right * xd + low * yd) / (dd + 1e-6)).clamp(0, 1)


def aside(fine: Tensor, base: Tensor, opacity: Tensor) -> list[Tensor]:
    """Correlation with the render as it is, by how much it is better shifted, and how far."""
    height, width = fine.shape[-2:]
    inner = torch.zeros_like(opacity)
    inner[..., REACH : height - REACH, REACH : width - REACH] = 1
    ours, theirs = fine * opacity * inner, base * opacity
    power = ours.square().sum((2, 3), keepdim=True) * _shifted_sums(inner, theirs.square())
    values = (_shifted_sums(ours, theirs) / (power.clamp(min=0).sqrt() + 1e-3)).flatten(1)
    steps = torch.arange(-REACH, REACH + 1, device=values.device, dtype=values.dtype)
    length = (steps[:, None].square() + steps.square()).sqrt().flatten()
    here = values[:, values.shape[1] // 2]
    best, place = values.max(dim=1)
    near = values[:, length <= 1.5].amax(1)
    return [here, best - here, length[place], values[:, length > 1.5].amax(1) - near]


def _shifted_sums(a: Tensor, b: Tensor) -> Float[Tensor, "V 1 s s"]:
    """Sums of ``a`` times ``b`` shifted by up to REACH pixels; ``a`` is 0 as near to its edges."""
    size = a.shape[-2:]
    sums = torch.fft.irfft2(torch.fft.rfft2(a).conj() * torch.fft.rfft2(b), s=size)
    rolled = sums.roll((REACH, REACH), (2, 3))
    return rolled[..., : 2 * REACH + 1, : 2 * REACH + 1]


def likeness(fine: Tensor, base: Tensor, opacity: Tensor, others: Tensor) -> list[Tensor]:
    """By how much an image is more like another view, as it stands, than like its own render."""
    solid = opacity.square().flatten(1)

    def like(views: Tensor) -> Tensor:
        """Correlation of every view with every other one, where the view is solid."""
        rows, columns = views.flatten(1), others.flatten(1)
        power = (solid * rows.square()).sum(1, keepdim=True) * (solid @ columns.square().T)
        return (solid * rows) @ columns.T / (power.sqrt() + 1e-5)

    power = (solid * fine.square().flatten(1)).sum(1) * (solid * base.square().flatten(1)).sum(1)
    here = (solid * (fine * base).flatten(1)).sum(1) / (power.sqrt() + 1e-5)
    if len(others) == 0:
        return [torch.full_like(here, -1.0), torch.zeros_like(here)]
    its = like(base)
    found = torch.where(its > SAME, -1.0, like(fine))
    most, which = found.max(dim=1)
    # How like the render that view is says how far apart the two views are.
    return [most - here, most - its.gather(1, which[:, None])[:, 0]]


def worst_cells(images: Tensor, renders: Tensor, opacity: Tensor) -> list[Tensor]:
    """The worst one, three and tenth of the solid cells, of colour, structure and energy."""
    solid = functional.adaptive_avg_pool2d(opacity, CELLS)[:, 0].flatten(1)
    counts = solid > SOLID

    def cells(values: Tensor) -> Tensor:
        pooled = functional.adaptive_avg_pool2d(values * opacity, CELLS).flatten(2)
        return pooled / solid[:, None].clamp(min=SOLID)

    colour = cells(images - renders).abs().amax(1)
    ours, theirs = (luminance(x) for x in (images, renders))
    a, b = ours - smooth(ours, 4.0), theirs - smooth(theirs, 4.0)
    sums = cells(torch.cat([a * a, b * b, a * b, (a - b).square()], dim=1))
    mine, its, both, apart = sums.unbind(1)
    unlike = 1 - (both + FLAT) / ((mine + FLAT) * (its + FLAT)).sqrt()
    found = []
    for values in (colour, unlike, apart.sqrt(), ((mine + FLAT) / (its + FLAT)).log()):
        found += _worst(values, counts)
    found += _worst(((its + FLAT) / (mine + FLAT)).log(), counts)
    fine = [bands(x)[0][0].square() for x in (ours, theirs)]
    mine, its = cells(torch.cat(fine, dim=1)).unbind(1)
    return found + _worst(((mine + FLAT / 8) / (its + FLAT / 8)).log(), counts)[:2]


def _worst(values: Tensor, counts: Tensor) -> list[Tensor]:
    """Largest value of the cells that count, mean of the largest four and of a tenth."""
    order = torch.where(counts, values, values.new_zeros(())).sort(dim=1, descending=True).values
    return [order[:, 0], order[:, :4].mean(1), order[:, : CELLS * CELLS // 10].mean(1)]


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum(1) / weight.sum(1).clamp(min=1e-3)
