"""Moving pictures for pages and chats: WebP, GIF, and stages side by side."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

from sphinx_framework.engine.result import RenderResult
from sphinx_framework.output.video import write_video
from sphinx_framework.scenes.images import to_uint8

WEBP_QUALITY = 85
# Side by side, smaller frames are enlarged to this height, so that their captions can be read.
LEAST_HEIGHT = 256
BAR, GAP = 28, 4
PAPER, INK = (250, 250, 248), (28, 32, 38)


def write_webp(path: Path, images: Float[Tensor, "T 3 H W"], *, fps: float) -> None:
    """Write an endless animated WebP."""
    first, *rest = _pictures(images)
    first.save(
        path,
        format="WEBP",
        save_all=True,
        append_images=rest,
        duration=max(1, round(1000 / fps)),
        loop=0,
        quality=WEBP_QUALITY,
        method=4,
    )


def write_gif(path: Path, images: Float[Tensor, "T 3 H W"], *, fps: float) -> None:
    """Write an endless GIF: 256 colours a frame, and times in hundredths of a second."""
    first, *rest = [picture.quantize(256) for picture in _pictures(images)]
    first.save(
        path,
        format="GIF",
        save_all=True,
        append_images=rest,
        # Players take less than two hundredths for a mistake and slow down.
        duration=max(20, 10 * round(100 / fps)),
        loop=0,
        disposal=1,
    )


def write_side_by_side(path: Path, result: RenderResult, *, fps: float) -> None:
    """Write an mp4 of regression, result and, where known, ground truth, with captions."""
    stages = [("regression", result.coarse.images.cpu()), ("result", result.images)]
    if result.scene.target_images is not None:
        stages.append(("truth", result.scene.target_images.cpu()))
    write_video(path, _joined(stages), fps=fps)


def _joined(stages: Sequence[tuple[str, Float[Tensor, "T 3 H W"]]]) -> Float[Tensor, "T 3 h w"]:
    height, width = stages[0][1].shape[-2:]
    scale = max(1.0, LEAST_HEIGHT / height)
    size = (round(height * scale), round(width * scale))
    columns: list[Tensor] = []
    for caption, images in stages:
        shown = images.float()
        if size != (height, width):
            shown = functional.interpolate(shown, size, mode="bicubic").clamp(0, 1)
        bar = _bar(caption, size[1]).expand(len(shown), -1, -1, -1)
        columns += [torch.cat([bar, shown], dim=2), _paper(len(shown), size[0] + BAR)]
    return torch.cat(columns[:-1], dim=3)


def _bar(caption: str, width: int) -> Float[Tensor, "3 h w"]:
    bar = Image.new("RGB", (width, BAR), PAPER)
    draw = ImageDraw.Draw(bar)
    draw.text((6, 5), caption, fill=INK, font=ImageFont.load_default(15))
    return (
        torch.frombuffer(bytearray(bar.tobytes()), dtype=torch.uint8)
        .reshape(BAR, width, 3)
        .permute(2, 0, 1)
        / 255
    )


def _paper(count: int, height: int) -> Float[Tensor, "T 3 h w"]:
    colour = torch.tensor(PAPER) / 255
    return colour[None, :, None, None].expand(count, 3, height, GAP)


def _pictures(images: Float[Tensor, "T 3 H W"]) -> list[Image.Image]:
    return [
        Image.fromarray(picture) for picture in to_uint8(images).permute(0, 2, 3, 1).cpu().numpy()
    ]
