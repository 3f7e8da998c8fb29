"""Bring images and their intrinsics to a requested size; a point keeps its content.

Pixel centres lie at half-integers, so resizing by ``(sy, sx)`` maps an image position ``(x, y)`` to
``(sx x, sy y)`` exactly, and cropping or padding shifts it by whole pixels: intrinsics follow by
``diag(sx, sy, 1) K`` and a shift of the principal point, with no half-pixel correction.
"""

import math
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.errors import SceneError
from sphinx_framework.types import Cameras, Scene

FITS = ("crop", "pad", "stretch")
PAD_VALUE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How a source image lands on a canvas: first resized, then shifted.

    resized, canvas: ``(height, width)`` in pixels after the resize, and of the result.
    top, left: row and column of the canvas at which the resized image begins; negative when cut.
    """

    source: tuple[int, int]
    resized: tuple[int, int]
    canvas: tuple[int, int]
    top: int
    left: int


def place(source: tuple[int, int], canvas: tuple[int, int], fit: str) -> Placement:
    """Decide how to bring an image of size ``source`` onto ``canvas``, both (height, width).

    crop: the resized image covers the canvas, the rest is cut away evenly. pad: it lies inside, on
    mid-grey. stretch: it is scaled to the canvas without keeping its aspect ratio.

    Raises:
        SceneError: unknown ``fit`` or a size below one pixel.
    """
    if fit not in FITS:
        raise SceneError(f"unknown fit {fit!r}.", hint=f"Choose one of: {', '.join(FITS)}.")
    if min(*source, *canvas) < 1:
        raise SceneError(f"cannot fit an image of size {source} to {canvas}: sizes are at least 1.")
    resized = canvas if fit == "stretch" else _proportional(source, canvas, cover=fit == "crop")
    # An odd remainder is cut at the bottom and right, or padded at the top and left.
    top = -((resized[0] - canvas[0]) // 2)
    left = -((resized[1] - canvas[1]) // 2)
    return Placement(source=source, resized=resized, canvas=canvas, top=top, left=left)


def fit_images(
    images: Float[Tensor, "V 3 H W"], canvas: tuple[int, int], fit: str = "crop"
) -> Float[Tensor, "V 3 h w"]:
    """Resize with an antialiased bicubic filter, then crop or pad to ``canvas``, values in [0, 1].

    Images that have the size already are returned unchanged.
    """
    placement = place((images.shape[-2], images.shape[-1]), canvas, fit)
    if placement.resized != placement.source:
        images = functional.interpolate(
            images, placement.resized, mode="bicubic", align_corners=False, antialias=True
        ).clamp(0, 1)
    bottom = canvas[0] - placement.resized[0] - placement.top
    right = canvas[1] - placement.resized[1] - placement.left
    borders = (placement.left, right, placement.top, bottom)
    return functional.pad(images, borders, value=PAD_VALUE) if any(borders) else images


def fit_intrinsics(
    intrinsics: Float[Tensor, "*V 3 3"],
    source: tuple[int, int],
    canvas: tuple[int, int],
    fit: str = "crop",
) -> Float[Tensor, "*V 3 3"]:
    """Intrinsics in pixels of ``source`` to those of the image that :func:`fit_images` returns."""
    placement = place(source, canvas, fit)
    scale = (placement.resized[1] / source[1], placement.resized[0] / source[0], 1.0)
    fitted = intrinsics * intrinsics.new_tensor(scale)[:, None]
    fitted[..., 0, 2] += placement.left
    fitted[..., 1, 2] += placement.top
    return fitted


def fit_cameras(cameras: Cameras, canvas: tuple[int, int], fit: str = "crop") -> Cameras:
    """The same viewpoints for images of size ``canvas``."""
    return Cameras(
        world_from_camera=cameras.world_from_camera,
        intrinsics=fit_intrinsics(cameras.intrinsics, cameras.image_size, canvas, fit),
        image_size=canvas,
    )


def fit_scene(scene: Scene, canvas: tuple[int, int], fit: str = "crop") -> Scene:
    """Bring images, ground truth and all cameras of a scene to ``canvas`` (height, width)."""
    truth = scene.target_images
    return replace(
        scene,
        images=fit_images(scene.images, canvas, fit),
        inputs=fit_cameras(scene.inputs, canvas, fit),
        targets=fit_cameras(scene.targets, canvas, fit),
        target_images=None if truth is None else fit_images(truth, canvas, fit),
    )


def rounded_size(
    source: tuple[int, int], *, multiple_of: int, short_side: int | None = None
) -> tuple[int, int]:
    """Size near ``source`` (height, width) whose sides are multiples of ``multiple_of``.

    short_side: scale so that the shorter side gets this length first (SEVA's ``L_short`` rule);
    both sides are rounded to the nearest multiple, at least one.
    """
    factor = 1.0 if short_side is None else short_side / min(source)

    def nearest(side: int) -> int:
        return max(1, math.floor(side * factor / multiple_of + 0.5)) * multiple_of

    return nearest(source[0]), nearest(source[1])


def _proportional(
    source: tuple[int, int], canvas: tuple[int, int], *, cover: bool
) -> tuple[int, int]:
    """Scale ``source`` to cover, or to lie in, ``canvas``; one side always matches exactly."""
    height_decides = (canvas[0] * source[1] >= canvas[1] * source[0]) == cover
    decider = 0 if height_decides else 1
    other = 1 - decider
    # Whole-number arithmetic: a float factor makes the ceiling one pixel too large at times.
    length = canvas[decider] * source[other]
    scaled = -(-length // source[decider]) if cover else max(1, length // source[decider])
    return (canvas[0], scaled) if decider == 0 else (scaled, canvas[1])
