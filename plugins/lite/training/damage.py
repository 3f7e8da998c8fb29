"""Ladders of damage to pictures: what the score must put in order, and what its checks use."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sphinx_framework_lite.bands import smooth

Rung = Callable[[Tensor, torch.Generator], Tensor]


def blur(sigma: float) -> Rung:
    """Gaussian blur, in pixels."""
    return lambda x, _: smooth(x, sigma)


def noise(level: float) -> Rung:
    """White noise; every level of one ladder has the same draw."""
    return lambda x, g: x + level * torch.randn(x.shape, generator=g)


def mosaic(share: float) -> Rung:
    """Blend towards flat 8-pixel blocks."""

    def damaged(x: Tensor, _: torch.Generator) -> Tensor:
        flat = functional.interpolate(functional.avg_pool2d(x, 8), scale_factor=8.0)
        return x.lerp(flat, share)

    return damaged


def jpeg(quality: int) -> Rung:
    """JPEG compression."""

    def damaged(x: Tensor, _: torch.Generator) -> Tensor:
        out = []
        for image in x:
            pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
            _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
            back = cv2.imdecode(np.asarray(data), cv2.IMREAD_COLOR)
            out.append(torch.from_numpy(back).permute(2, 0, 1).float() / 255)
        return torch.stack(out)

    return damaged


def cast(size: float) -> Rung:
    """A colour cast: one channel up, another one down; every size the same pair."""

    def damaged(x: Tensor, g: torch.Generator) -> Tensor:
        order = torch.randperm(3, generator=g)
        gain = torch.ones(3)
        gain[order[0]], gain[order[1]] = 1 + size, 1 - size
        return x * gain[:, None, None]

    return damaged


def speckle(level: float) -> Rung:
    """Coloured noise in cells of 4 pixels, as a walk leaves that stopped early."""

    def damaged(x: Tensor, g: torch.Generator) -> Tensor:
        cells = torch.randn(len(x), 3, x.shape[2] // 4, x.shape[3] // 4, generator=g)
        return x + level * functional.interpolate(cells, scale_factor=4.0, mode="bilinear")

    return damaged


def sharpened(amount: float) -> Rung:
    """Unsharp filter of one pixel."""
    return lambda x, _: x + amount * (x - smooth(x, 1.0))


def doubled(share: float) -> Rung:
    """A second exposure, shifted by 5 pixels."""
    return lambda x, _: x.lerp(x.roll((3, 4), (2, 3)), share)


LADDERS: dict[str, tuple[Rung, ...]] = {
    "blur": tuple(blur(s) for s in (0.5, 0.8, 1.2, 2.0)),
    "noise": tuple(noise(s) for s in (0.01, 0.05, 0.1, 0.2)),
    "blocks": tuple(mosaic(s) for s in (0.15, 0.3, 0.6, 0.9)),
    "jpeg": tuple(jpeg(q) for q in (80, 50, 25, 10)),
    "cast": tuple(cast(s) for s in (0.05, 0.1, 0.2, 0.4)),
    "speckle": tuple(speckle(s) for s in (0.03, 0.06, 0.12, 0.25)),
    "double": tuple(doubled(s) for s in (0.1, 0.2, 0.35, 0.5)),
}
SHARPER = (0.5, 1.0, 2.0)


def ladder(name: str, images: Tensor, seed: int) -> list[Tensor]:
    """The rungs of a ladder below ``images``, in [0, 1], worse and worse."""
    return [rung(images, torch.Generator().manual_seed(seed)).clamp(0, 1) for rung in LADDERS[name]]


def no_pictures(images: Tensor, seed: int) -> dict[str, Tensor]:
    """Black, one colour, flat random blocks and noise of the images' shape."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.rand(len(images), 3, 12, 12, generator=generator)
    return {
        "black": torch.zeros_like(images),
        "one colour": images.mean((2, 3), keepdim=True).expand_as(images).contiguous(),
        "flat blocks": functional.interpolate(cells, images.shape[-2:]),
        "pure noise": torch.rand(images.shape, generator=generator),
    }
