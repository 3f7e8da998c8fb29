"""Measures of damage that an image shows by itself: noise, blocks, second exposures, sharpness.

Pure arithmetic on images in [0, 1], one number each. None of them means anything alone, for sand
looks like noise: :mod:`sphinx_framework.policy.defects` compares them with those of the photos and
of the render.
"""

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

LUMA = (0.299, 0.587, 0.114)
LEVEL = 1 / 255
# Cells of speckle, as walks leave it that end early: a quarter of the size shows it as noise.
CELL = 4
# Windows of the noise measure, and which of them counts: the smoothest fifth.
WINDOW = 8
SMOOTHEST = 0.2
# Deviations below which a difference means nothing; in grey pictures any tint is one.
LUMA_FLOOR, TINT_FLOOR = 0.002, 0.006
# Where colours are clipped there is no noise to see.
DARKEST, BRIGHTEST = 0.03, 0.97
# Blocks of JPEG and of most video codecs.
BLOCK = 8
EDGE = 0.1
# Of larger images the upper left part tells enough.
WIDEST = 512
BANDS = (0.6, 1.2, 2.4)
# Shifts of a second exposure, in pixels: nearer ones are the picture's own smoothness.
NEAREST, FARTHEST = 2, 20
# Power of rounding to 8 bits: below it a spectrum says nothing.
ROUNDING = LEVEL**2 / 12


def luma(images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V 1 H W"]:
    """Rec. 601 luma."""
    # Numbers of the program, not tensors: those would be copied to the device at every call.
    planes = (weight * images[:, i : i + 1] for i, weight in enumerate(LUMA))
    return functools.reduce(torch.add, planes)


def tints(images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V 2 H W"]:
    """Two differences of channels, scaled so that white noise keeps its deviation."""
    red, green, blue = images.unbind(dim=1)
    first = (red - green) / math.sqrt(2)
    return torch.stack([first, (blue - 0.5 * (red + green)) / math.sqrt(1.5)], dim=1)


def noise(images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V 2"]:
    """Log deviation of white noise in the smoothest windows: of luma, and of tints."""
    kernel = _second_differences(images.device).to(images)
    grey = luma(images)
    planes = torch.cat([grey, tints(images)], dim=1)
    high = functional.conv2d(planes.flatten(0, 1)[:, None], kernel).square()
    high = high.reshape(*planes.shape[:2], *high.shape[-2:])
    powers = functional.avg_pool2d(high, WINDOW, WINDOW // 2)
    mean = functional.avg_pool2d(grey[..., 1:-1, 1:-1], WINDOW, WINDOW // 2)
    usable = (mean > DARKEST) & (mean < BRIGHTEST)
    usable = usable | (usable.float().mean((2, 3), keepdim=True) < 0.1)
    both = torch.cat([powers[:, :1], powers[:, 1:].mean(1, keepdim=True)], dim=1)
    levels = torch.where(usable, both, math.nan).flatten(2).nanquantile(SMOOTHEST, dim=2).sqrt()
    return torch.cat([levels[:, :1] + LUMA_FLOOR, levels[:, 1:] + TINT_FLOOR], dim=1).log()


def speckle(images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, " V"]:
    """Log deviation of coarse noise in tints, in the smoothest windows; 0 for tiny images."""
    if min(images.shape[-2:]) < CELL * (WINDOW + 2):
        return torch.zeros_like(images[:, 0, 0, 0])
    return noise(functional.avg_pool2d(images, CELL))[:, 1]


def echoes(images: Float[Tensor, "V 3 H W"], reach: int) -> Float[Tensor, "V S"]:
    """Cepstrum of luma at the shifts of up to ``reach`` pixels along each axis, 0 at the nearest.

    Near 0 in pictures, and about ``a`` at the shift of a copy that is ``a`` times as strong.
    ``reach`` is below half of the shorter side.
    """
    grey = luma(images)[:, 0, :WIDEST, :WIDEST].float()
    height, width = grey.shape[-2:]
    down, across = (torch.hann_window(n, device=grey.device) for n in (height, width))
    window = down[:, None] * across
    # Without a window the borders would be the strongest structure.
    flat = (grey - grey.mean((1, 2), keepdim=True)) * window
    power = torch.fft.rfft2(flat).abs().square() + ROUNDING * window.square().sum()
    whole = torch.fft.irfft2(power.log(), s=(height, width))[..., : reach + 1]
    found = torch.cat([whole[:, : reach + 1], whole[:, -reach:]], dim=1)
    steps = torch.arange(reach + 1, device=grey.device)
    rows = torch.cat([steps, steps[1:].flip(0)])
    far = rows[:, None].square() + steps.square() >= NEAREST**2
    return (found * far).flatten(1)


@functools.lru_cache(maxsize=8)
def _second_differences(device: torch.device) -> Float[Tensor, "1 1 3 3"]:
    """Blind to planes of colour, of unit gain for white noise; copied to a device once."""
    kernel = torch.tensor([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6
    return kernel[None, None].to(device)


@functools.lru_cache(maxsize=8)
def _cosines(device: torch.device) -> Float[Tensor, "63 1 8 8"]:
    """The orthonormal transform of JPEG without its mean, as kernels; copied to a device once."""
    n = torch.arange(float(BLOCK))
    rows = 0.5 * torch.cos(math.pi * (2 * n[None] + 1) * n[:, None] / (2 * BLOCK))
    rows[0] /= math.sqrt(2)
    return torch.einsum("ux,vy->uvxy", rows, rows).flatten(0, 1)[1:, None].to(device)


def emptied(images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, " V"]:
    """Share of 8x8 cosine coefficients that quantisation emptied: of one grid, above the others.

    Compression leaves many coefficients of its own grid empty and none of any other; smooth
    pictures leave as many on every grid.
    """
    found = []
    greys = luma(images)[..., :WIDEST, :WIDEST]
    down, across = ((side - BLOCK + 1) // BLOCK for side in greys.shape[2:])
    greys = greys[..., : (down + 1) * BLOCK - 1, : (across + 1) * BLOCK - 1]
    for grey in greys:
        coefficients = functional.conv2d(grey[None], _cosines(grey.device).to(grey))[0]
        share = coefficients.abs_().lt_(LEVEL).mean(0)  # 63 maps: nothing is held twice
        grids = share.reshape(down, BLOCK, across, BLOCK).mean((0, 2)).flatten()
        found.append(grids.max() - grids.median())
    return torch.stack(found)


def lattice(images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, " V"]:
    """How much larger the steps across every eighth line are than beside it: blocks; both axes."""
    found = []
    grey = luma(images)[:, 0]
    for lines in (grey, grey.mT):
        steps = (lines[..., 1:] - lines[..., :-1]).abs().clamp(max=EDGE)
        peaks = (steps[..., 1:-1] - 0.5 * (steps[..., 2:] + steps[..., :-2])).mean(1)
        count = peaks.shape[1] // BLOCK
        # One strong line of the picture is no lattice: the median over lines of a phase.
        phases = peaks[:, : count * BLOCK].reshape(-1, count, BLOCK).median(1).values
        found.append(phases.amax(1) - phases.median(1).values)
    return 0.5 * (found[0] + found[1])


def blurred(maps: Float[Tensor, "V 1 H W"], sigma: float) -> Float[Tensor, "V 1 H W"]:
    """Gaussian blur with replicated edges."""
    radius = max(1, round(3 * sigma))
    places = torch.arange(-radius, radius + 1, dtype=maps.dtype, device=maps.device)
    bell = torch.exp(-0.5 * (places / sigma) ** 2)
    bell = bell / bell.sum()
    padded = functional.pad(maps, (radius,) * 4, mode="replicate")
    across = functional.conv2d(padded, bell.reshape(1, 1, 1, -1))
    return functional.conv2d(across, bell.reshape(1, 1, -1, 1))


def sharpness(images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V 2"]:
    """Log power of the finest band of luma, and of the second over the third one."""
    rest, powers = luma(images), []
    for sigma in BANDS:
        low = blurred(rest, sigma)
        powers.append(((rest - low).square().mean((1, 2, 3)) + 1e-6).log())
        rest = low
    return torch.stack([powers[0], powers[1] - powers[2]], dim=1)
