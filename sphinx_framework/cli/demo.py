"""``demo``: the built-in scene, and what its result is worth beside the alternatives."""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

from sphinx_framework.cli.answer import print_json
from sphinx_framework.cli.render import rendered
from sphinx_framework.cli.render_text import summary
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.result import RenderResult
from sphinx_framework.scenes.targets import kept_targets
from sphinx_framework.types import Scene

# Twice the side of the scenes that the models were trained on: details can be seen.
SIDE = 192
FEW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way to the same frames; ``ssim`` is missing where the extra ``study`` is.

    seconds: without loading and writing; scoring and planning are the result's only.
    """

    system: str
    psnr: float
    ssim: float | None
    seconds: float


def demo(arguments: argparse.Namespace) -> int:
    """Render the built-in scene, compare it with the alternatives, and say where to look."""
    if arguments.config == "lite":
        # What is set later counts: the user's own. Fifty steps of float32 are half of the time.
        own = [f"size=[{SIDE}, {SIDE}]", "diffusion.precision=native"]
        arguments.overrides = [*own, *arguments.overrides]
    arguments.save = arguments.save or "side-by-side"
    engine, result = rendered(arguments)
    target = len(result.scene.targets) // 2
    rows = compared(engine, kept_targets(result.scene, [target]), arguments)
    out = Path(arguments.out)
    if arguments.json:
        report = json.loads(result.report.to_json())
        told = {"compared": [asdict(row) for row in rows], "compared_target": target}
        print_json({"out": str(out), "report": report, **told})
        return 0
    console = Console()
    summary(console, result.report, out)
    if rows:
        console.print(_table(rows, target))
    return 0


def compared(engine: Engine, scene: Scene, arguments: argparse.Namespace) -> list[Row]:
    """The result, its regression stage, full diffusion and two plain steps, against the truth.

    scene: with one target, as a request of its own: fifty steps over all of them would take longer
        than everything else. Nothing without ground truth.

    Plain diffusion has the same render, noise and decode.
    """
    if scene.target_images is None:
        return []
    seed = arguments.seed
    asked = engine.prepare(scene, quality=arguments.quality, mode=arguments.mode)
    method = engine.render(asked, seed=seed)
    few_config = engine.config.model_copy(update={"num_steps": FEW})
    few = Engine(engine.components, few_config, engine.device, engine.registry)
    full, plain = (
        one.render(
            one.prepare(scene, mode="diffusion", coarse=asked.coarse, report=asked.report),
            seed=seed,
        )
        for one in (engine, few)
    )
    regression = method.report.seconds.regression
    rows = [
        ("regression stage", method.coarse.images, regression),
        ("result", method.images, spent(method)),
        (f"full diffusion, {engine.config.num_steps} steps", full.images, regression + spent(full)),
        (f"plain diffusion, {FEW} steps", plain.images, regression + spent(plain)),
    ]
    return [_row(name, images, scene.target_images, took) for name, images, took in rows]


def spent(result: RenderResult) -> float:
    """Seconds of a request without loading and writing."""
    seconds = result.report.seconds
    stages = [seconds.regression, seconds.encode, seconds.denoise, seconds.decode]
    own = [] if result.report.mode == "diffusion" else [seconds.quality, seconds.plan]
    return sum([*stages, *own])


def _row(name: str, images: Tensor, truth: Tensor, seconds: float) -> Row:
    from sphinx_framework.metrics import psnr, ssim

    images, truth = images.cpu(), truth.cpu()
    try:
        similar: float | None = float(ssim(images, truth).mean())
    except ImportError:
        similar = None
    return Row(system=name, psnr=float(psnr(images, truth).mean()), ssim=similar, seconds=seconds)


def _table(rows: list[Row], target: int) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=f"A request for target {target} alone, against the ground truth",
        title_justify="left",
    )
    for name in ("", "PSNR", "SSIM", "seconds"):
        table.add_column(name, justify="right" if name else "left")
    for row in rows:
        similar = "not measured" if row.ssim is None else f"{row.ssim:.3f}"
        table.add_row(row.system, f"{row.psnr:.2f} dB", similar, f"{row.seconds:.2f}")
    return table
