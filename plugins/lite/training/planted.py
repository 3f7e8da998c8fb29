"""Frames that went wrong in known ways: what the guard must tell, beside a model's own mistakes."""

from collections.abc import Callable

import numpy as np
import torch
from damage import blur, cast, doubled, jpeg, noise, speckle
from torch import Tensor
from torch.nn import functional

Planted = Callable[[Tensor, np.random.Generator], Tensor]


def resampled(images: Tensor, matrix: Tensor, bend: Tensor | None = None) -> Tensor:
    """Images through an affine map of normalised places (and a field added to them)."""
    grid = functional.affine_grid(
        matrix[None].expand(len(images), 2, 3), list(images.shape), align_corners=False
    )
    if bend is not None:
        grid = grid + bend
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def shifted(images: Tensor, random: np.random.Generator) -> Tensor:
    """Half a pixel to five pixels aside, in any direction."""
    length, angle = random.uniform(0.5, 5), random.uniform(0, 2 * np.pi)
    height, width = images.shape[-2:]
    matrix = torch.eye(2, 3)
    matrix[0, 2] = 2 * length * np.cos(angle) / width
    matrix[1, 2] = 2 * length * np.sin(angle) / height
    return resampled(images, matrix)


def turned(images: Tensor, random: np.random.Generator) -> Tensor:
    """Turned by up to five degrees and larger or smaller by up to eight per cent."""
    angle, scale = random.uniform(-0.09, 0.09), random.uniform(0.92, 1.08)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return resampled(images, torch.tensor([[c, -s, 0.0], [s, c, 0.0]], dtype=torch.float32))


def bent(images: Tensor, random: np.random.Generator) -> Tensor:
    """Bent smoothly by some pixels, as wrong geometry does."""
    pixels = random.uniform(0.7, 4)
    coarse = torch.from_numpy(random.normal(size=(1, 2, 4, 4))).float()
    field = functional.interpolate(coarse, images.shape[-2:], mode="bicubic", align_corners=True)
    field = field.permute(0, 2, 3, 1) * (2 * pixels / images.shape[-1])
    return resampled(images, torch.eye(2, 3), field)


def neighbours(images: Tensor, random: np.random.Generator) -> Tensor:
    """Every frame is its neighbour's, or all are one and the same."""
    if random.random() < 0.5:
        return images.roll(int(random.choice([-1, 1])), 0)
    return images[[int(random.integers(len(images)))]].expand_as(images).contiguous()


def square(other: Tensor) -> Planted:
    """A square of another picture, of one colour, or of this picture's other places."""

    def made(images: Tensor, random: np.random.Generator) -> Tensor:
        height, width = images.shape[-2:]
        side = int(random.uniform(0.15, 0.5) * min(height, width))
        y, x = int(random.integers(height - side)), int(random.integers(width - side))
        sources = [other[: len(images)], images.flip(2, 3), images.roll(height // 2, 2)]
        sources += [torch.zeros_like(images), images.mean((2, 3), keepdim=True).expand_as(images)]
        source = sources[int(random.choice(5, p=[0.4, 0.15, 0.15, 0.15, 0.15]))]
        source = functional.interpolate(source, (height, width)) if source is other else source
        out = images.clone()
        patch = source[: len(images), :, y : y + side, x : x + side]
        out[: len(patch), :, y : y + side, x : x + side] = patch
        return out

    return made


def pattern(images: Tensor, random: np.random.Generator) -> Tensor:
    """A fine pattern of one to four pixels over everything."""
    height, width = images.shape[-2:]
    pitch = int(random.integers(1, 5))
    rows, columns = torch.arange(height)[:, None] // pitch, torch.arange(width) // pitch
    kinds = [(rows + columns) % 2, rows % 2 + 0 * columns, columns % 2 + 0 * rows]
    sign = 2.0 * kinds[int(random.integers(3))].float() - 1
    return images + random.uniform(0.03, 0.2) * sign


def grey(images: Tensor, random: np.random.Generator) -> Tensor:
    """Less colour, or none."""
    return images.lerp(images.mean(1, keepdim=True).expand_as(images), random.uniform(0.3, 1))


def light(images: Tensor, random: np.random.Generator) -> Tensor:
    """Darker, brighter, or of less contrast."""
    gain, lift = random.uniform(0.6, 1.4), random.uniform(-0.12, 0.12)
    return gain * images + lift


def blended(other: Tensor) -> Planted:
    """Another scene shines through."""
    return lambda images, random: images.lerp(other[: len(images)], random.uniform(0.1, 1))


def damaged(images: Tensor, random: np.random.Generator) -> Tensor:
    """A rung of one of the ladders of damage, of a random size."""
    level = random.random()
    rungs = [blur(0.8 + 2 * level), noise(0.02 + 0.1 * level), speckle(0.03 + 0.15 * level)]
    rungs += [cast(0.05 + 0.3 * level), jpeg(int(8 + 40 * level)), doubled(0.1 + 0.4 * level)]
    generator = torch.Generator().manual_seed(int(random.integers(2**31)))
    return rungs[int(random.integers(len(rungs)))](images, generator)


def planted(other: Tensor) -> dict[str, Planted]:
    """All kinds by name; ``other`` holds pictures of another scene."""
    return {
        "aside": shifted,
        "turned": turned,
        "bent": bent,
        "neighbour": neighbours,
        "square": square(other),
        "pattern": pattern,
        "grey": grey,
        "light": light,
        "another scene": blended(other),
        "damaged": damaged,
    }
