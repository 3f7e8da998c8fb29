"""``evaluate``: the method against full diffusion, regression and fewer steps (paper table 1)."""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from sphinx_framework.cli.scenes import scene_names
from sphinx_framework.config import PipelineConfig, load_config
from sphinx_framework.engine.report import device_name
from sphinx_framework.engine.result import RenderResult
from sphinx_framework.errors import ConfigError
from sphinx_framework.io.contact_sheet import write_contact_sheet
from sphinx_framework.io.results import prepare_folder
from sphinx_framework.loading import load_scene
from sphinx_framework.policy.schedule import MODES, Mode
from sphinx_framework.study.evaluation import Measured, evaluate
from sphinx_framework.study.figures import stages, trade_off
from sphinx_framework.study.page import Sheet, write_page
from sphinx_framework.study.summary import markdown_table
from sphinx_framework.study.systems import System, baselines, build_engines, methods, multistep

REMARKS = (
    "Means over scenes with 95 % bootstrap intervals. Seconds leave out loading and writing; the "
    "baselines are not charged for scoring and planning. 'score kept' is the no-reference score "
    "relative to full diffusion on the same scene.",
    "Holes are pixels where the regression opacity is below 0.5. Drift is the difference of "
    "neighbouring frames after warping with the regression depth.",
    "LPIPS: not measured (no weights). Energy: not measured (no meter).",
)


def evaluate_command(arguments: argparse.Namespace) -> int:
    """Run (or go on), then write tables, figures and the page."""
    out = Path(arguments.out)
    prepare_folder(out)
    config = load_config(arguments.config, arguments.overrides)
    systems = _systems(arguments, config)
    names = scene_names(arguments.scenes)
    engines = build_engines(config, systems, arguments.device)
    warm = load_scene(names[0], size=config.size, fit=config.fit)
    for system in systems[:2]:
        engines[system.name].render(warm, mode=system.mode)
    loading = [(n, partial(load_scene, n, size=config.size, fit=config.fit)) for n in names]
    shown = f"{arguments.show or systems[-1].name}"
    sheets = out / "sheets"
    sheets.mkdir(exist_ok=True)

    def keep(scene: str, system: str, result: RenderResult) -> None:
        if system == shown:
            write_contact_sheet(sheets / f"{_file_name(scene)}.png", result)

    rows: dict[str, list[Measured]] = {system.name: [] for system in systems}
    kept: list[tuple[float, str]] = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("scenes", total=len(names))
        for name, measured in evaluate(engines, systems, loading, out / "scenes", keep):
            for system in systems:
                rows[system.name].append(measured[system.name])
            kept.append((measured[shown]["kept"], name))
            progress.advance(task)
    _write(out, config, arguments, rows, sorted(kept), shown)
    if arguments.json:
        print(json.dumps({"out": str(out), "scenes": len(names), "systems": rows}))
    else:
        console = Console()
        console.print(markdown_table(rows), markup=False, highlight=False, soft_wrap=True)
        console.print(f"look at {out / 'index.html'}", soft_wrap=True)
    return 0


def _write(
    out: Path,
    config: PipelineConfig,
    arguments: argparse.Namespace,
    rows: dict[str, list[Measured]],
    kept: list[tuple[float, str]],
    shown: str,
) -> None:
    machine = device_name(torch.device("cpu" if arguments.device == "auto" else arguments.device))
    head = f"{len(kept)} scenes, {machine}, pipeline {config.name}.\n\n"
    (out / "table.md").write_text(head + markdown_table(rows), encoding="utf-8")
    (out / "results.json").write_text(json.dumps({"machine": machine, "systems": rows}))
    figures = {"Trade-off": trade_off(rows), "Seconds by stage": stages(rows)}
    for name, figure in figures.items():
        for ending in ("png", "svg"):
            figure.savefig(out / f"{name.lower().replace(' ', '_')}.{ending}")
    picks = {"Best": kept[-1], "Median": kept[len(kept) // 2], "Worst": kept[0]}
    sheets = [
        Sheet(
            title=f"{label} scene for {shown}: {name}, score kept {share:.3f}",
            path=out / "sheets" / f"{_file_name(name)}.png",
        )
        for label, (share, name) in picks.items()
    ]
    write_page(
        out / "index.html",
        rows,
        title=f"Evaluation of {config.name}",
        facts={
            "scenes": str(len(kept)),
            "machine": machine,
            "command": "sphinx-nvs evaluate --config " + arguments.config,
        },
        figures=figures,
        sheets=[sheet for sheet in sheets if sheet.path.exists()],
        config=json.dumps(config.model_dump(mode="json"), indent=2),
        remarks=REMARKS,
    )


def _systems(arguments: argparse.Namespace, config: PipelineConfig) -> list[System]:
    modes: list[Mode] = []
    for mode in arguments.modes.split(","):
        if mode not in MODES:
            raise ConfigError(f"--modes {mode}: unknown. Modes: {', '.join(MODES)}.")
        if mode not in ("diffusion", "regression"):
            modes.append(mode)
    try:
        qualities = tuple(float(q) for q in arguments.qualities.split(","))
    except ValueError:
        raise ConfigError(f"--qualities {arguments.qualities}: expected numbers.") from None
    systems = [*baselines(), *methods(tuple(modes), qualities)]
    able: Any = config.pipeline["diffusion"].use == "lite"
    return [*systems, *multistep()] if able else systems


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
