"""How alike to the truth every part of a frame probably is: a map, whose mean is the score.

Frames of one target differ by less than means over an image show. So what is known is compared
cell by cell: how structure, gradients, bands and colours agree with the render, with the warped
photos and with the view to be expected, and by how much more than the render's own do. A small
convolutional network says for each cell how alike it is to the truth: (SSIM + GMS) / 2, less the
shift of the mean colour.
"""

from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_lite.evidence_features import Compared, Known, Seen, structure

# Pixels on a side of a cell.
CELL = 4
WIDTH = 48
TINY = 1e-6
# Maps of one comparison; of two photos, the expected view and the frame's own energies; and of what
# is known.
COMPARED, OBSERVED, CONTEXT = 14, 46, 12
CHANNELS = COMPARED + 2 * OBSERVED + CONTEXT
# Likeness at which the score is next to nothing; below, it falls on, but ever more slowly.
LOW, BEND = 0.2, 20.0


def cells(x: Float[Tensor, "V C H W"]) -> Float[Tensor, "V C h w"]:
    """Means over cells."""
    return functional.avg_pool2d(x, CELL)


def compared(view: Seen, other: Seen) -> Float[Tensor, "V 14 h w"]:
    """Structure, gradients, distance; coherence and gain of every band; low colours."""
    maps = Compared(view, other)
    parts = [cells(maps.structure), cells(maps.gradients)]
    parts.append((cells(maps.away) + 1e-5).log() / 4)
    for both, mine, its in zip(maps.both, view.energies, other.energies, strict=True):
        mine, its = cells(mine) + TINY, cells(its) + TINY
        parts += [cells(both) / (mine * its).sqrt(), (mine / its).log() / 2]
    parts.append(10 * cells(maps.apart))
    return torch.cat(parts, dim=1)


def spectrum(view: Seen) -> Float[Tensor, "V 4 h w"]:
    """Logarithmic energy of every band."""
    return torch.cat([(cells(energy) + TINY).log() for energy in view.energies], dim=1) / 4


class Surroundings:
    """What every frame of a request is compared with; its own maps are made once."""

    def __init__(self, evidence: Known) -> None:
        self._known = evidence
        self._sources = (evidence.sources * 2)[:2]
        self._others = (*(view for view, _ in self._sources), evidence.expected)

    def maps(self, view: Seen) -> Float[Tensor, "V F h w"]:
        """Everything that the network sees of frames."""
        return self._maps(view, self._observed(view))

    @property
    def maps_of_renders(self) -> Float[Tensor, "V F h w"]:
        """The same of the renders themselves."""
        return self._maps(self._known.render, self._rendered)

    def _maps(self, view: Seen, observed: Tensor) -> Float[Tensor, "V F h w"]:
        parts = [compared(view, self._known.render), observed, observed - self._rendered]
        return torch.cat([*parts, self._context], dim=1).clamp(-8, 8)

    def _observed(self, view: Seen) -> Float[Tensor, "V 46 h w"]:
        return torch.cat([*(compared(view, x) for x in self._others), spectrum(view)], dim=1)

    @cached_property
    def _rendered(self) -> Float[Tensor, "V 46 h w"]:
        return self._observed(self._known.render)

    @cached_property
    def _context(self) -> Float[Tensor, "V 12 h w"]:
        known = self._known
        (first, one), (second, two) = self._sources
        own = spectrum(known.render)
        photos = torch.stack([energy.mean() + TINY for energy in known.photos.energies]).log() / 4
        weights = [cells(weight) for weight in (known.opacity, one, two)]
        agree = cells(structure(first, second))
        return torch.cat([*weights, own, own - photos[:, None, None], agree], dim=1)


class Likeness(nn.Module):
    """Standardises maps and says how alike every cell is to the truth, in (0, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(CHANNELS))
        self.register_buffer("deviation", torch.ones(CHANNELS))
        self.inward = nn.Conv2d(CHANNELS, WIDTH, 1)
        self.near = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.around = nn.Conv2d(WIDTH, WIDTH, 3, padding=2, dilation=2)
        self.outward = nn.Conv2d(WIDTH, 1, 1)

    def forward(self, maps: Float[Tensor, "V F h w"]) -> Float[Tensor, "V h w"]:
        """Likeness of every cell."""
        normal = (maps - self.mean[:, None, None]) / self.deviation[:, None, None]
        x = functional.silu(self.inward(normal.clamp(-4, 4)))
        x = x + functional.silu(self.near(x))
        x = x + functional.silu(self.around(x))
        out: Tensor = torch.sigmoid(self.outward(x)[:, 0])
        return out


def stretched(likeness: Tensor) -> Tensor:
    """Likeness on the scale of the score: 1 at 1, nearly 0 at ``LOW``, and never level."""
    place = (likeness - LOW) / (1 - LOW)
    return functional.softplus(place, beta=BEND)
