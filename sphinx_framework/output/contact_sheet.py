"""One picture of a run: what each stage made of every target, side by side."""

from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from sphinx_framework.engine.result import FrameReport, RenderResult
from sphinx_framework.scenes.images import to_uint8

MAX_COLUMNS = 8
CELL = 176
MARGIN = 12
LABEL = 116
CAPTION = 34
INK = (28, 32, 38)
SOFT = (110, 116, 126)
PAPER = (250, 250, 248)
MARK = torch.tensor([0.95, 0.35, 0.15])


def overlay(image: Float[Tensor, "3 H W"], mask: Tensor) -> Float[Tensor, "3 H W"]:
    """The grey image with the marked pixels tinted."""
    grey = image.mean(0, keepdim=True).expand(3, -1, -1) * 0.6 + 0.3
    tint = 0.45 * grey + 0.55 * MARK[:, None, None]
    return torch.where(mask[None], tint, grey)


def write_contact_sheet(path: Path, result: RenderResult) -> None:
    """Write inputs, coarse views, masks if they were used, results and known truth as one PNG."""
    count = len(result.report.frames)
    columns = _spread(count, MAX_COLUMNS)
    coarse = [result.coarse.images[i].cpu() for i in columns]
    rows = [("regression", coarse)]
    if result.report.mode == "selective":  # the other modes refine whole frames
        masks = [result.mask[i] for i in columns]
        rows.append(("to refine", [overlay(*both) for both in zip(coarse, masks, strict=True)]))
    rows.append(("result", [result.images[i] for i in columns]))
    if result.scene.target_images is not None:
        rows.append(("ground truth", [result.scene.target_images[i].cpu() for i in columns]))
    inputs = [image.cpu() for image in result.scene.images[:MAX_COLUMNS]]
    height, width = result.images.shape[-2:]
    scale = CELL / max(height, width)
    cell = (round(height * scale), round(width * scale))
    across = max(len(columns), len(inputs))
    sheet_width = 2 * MARGIN + LABEL + across * (cell[1] + MARGIN)
    sheet_height = 3 * MARGIN + 40 + (len(rows) + 1) * (cell[0] + MARGIN) + CAPTION
    sheet = Image.new("RGB", (sheet_width, sheet_height), PAPER)
    draw = ImageDraw.Draw(sheet)
    _title(draw, result)
    top = MARGIN + 40
    _row(sheet, draw, top, "inputs", inputs, cell)
    for index, (label, images) in enumerate(rows):
        _row(sheet, draw, top + (index + 1) * (cell[0] + MARGIN), label, images, cell)
    captions = top + (len(rows) + 1) * (cell[0] + MARGIN) - MARGIN + 4
    for column, target in enumerate(columns):
        left = MARGIN + LABEL + column * (cell[1] + MARGIN)
        for line, text in enumerate(_caption(result.report.frames[target], result)):
            draw.text((left, captions + 15 * line), text, fill=SOFT, font=_font(12))
    sheet.save(path)


def _title(draw: ImageDraw.ImageDraw, result: RenderResult) -> None:
    report = result.report
    refined = sum(frame.served == "refined" for frame in report.frames)
    share = report.counts.frame_steps / max(1, report.counts.frame_steps_dense)
    draw.text(
        (MARGIN, MARGIN),
        f"{report.scene}  ·  {report.config['name']}  ·  {report.mode}  ·  "
        f"quality {report.quality_target:g}",
        fill=INK,
        font=_font(17),
    )
    draw.text(
        (MARGIN, MARGIN + 22),
        f"{refined} of {len(report.frames)} targets refined, {share:.0%} of the frame steps of "
        f"dense diffusion, {report.seconds.total:.2f} s on {report.device}",
        fill=SOFT,
        font=_font(12),
    )


def _row(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    top: int,
    label: str,
    images: list[Tensor],
    cell: tuple[int, int],
) -> None:
    draw.text((MARGIN, top + cell[0] // 2 - 8), label, fill=INK, font=_font(15))
    for column, image in enumerate(images):
        sized = F.interpolate(image[None], cell, mode="bicubic", antialias=True)[0].clamp(0, 1)
        picture = Image.fromarray(to_uint8(sized).permute(1, 2, 0).numpy())
        sheet.paste(picture, (MARGIN + LABEL + column * (cell[1] + MARGIN), top))


def _caption(frame: FrameReport, result: RenderResult) -> tuple[str, str]:
    if frame.served == "regression":
        return (f"#{frame.index}  as rendered", f"ratio {frame.ratio:.2f}")
    return (
        f"#{frame.index}  from step {frame.start_step} of {result.report.num_steps}",
        f"ratio {frame.ratio:.2f} > {frame.achieved_ratio:.2f}",
    )


def _spread(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
