"""What ``evaluate`` and ``sweep`` have in common: reading arguments, measuring, writing."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from sphinx_framework.cli.answer import print_json
from sphinx_framework.cli.cluster_study import MeasureInto, measured_on_cluster
from sphinx_framework.cli.outputs import open_output
from sphinx_framework.cli.scenes import scene_sources
from sphinx_framework.cli.study_progress import study_progress
from sphinx_framework.config import PipelineConfig, load_config, load_cost
from sphinx_framework.energy.choose import check_meter
from sphinx_framework.errors import ConfigError, suggestion
from sphinx_framework.folders.folder import OutputFolder
from sphinx_framework.folders.manifest import A_STUDY
from sphinx_framework.output.contact_sheet import write_contact_sheet
from sphinx_framework.perceptual import load_lpips
from sphinx_framework.registry import Registry
from sphinx_framework.study.calibrate.samples import SceneSource
from sphinx_framework.study.evaluate.engines import EngineFactory
from sphinx_framework.study.evaluate.evaluation import Bench, evaluate
from sphinx_framework.study.evaluate.features import load_features
from sphinx_framework.study.evaluate.records import SceneRecord
from sphinx_framework.study.evaluate.settings import scene_seed
from sphinx_framework.study.evaluate.systems import DENSE, System
from sphinx_framework.study.files import file_stem
from sphinx_framework.study.machine import machine_name
from sphinx_framework.study.objective import objective_of
from sphinx_framework.study.report.figures import require_matplotlib
from sphinx_framework.study.report.outputs import Study, results, tables, write_study
from sphinx_framework.study.report.page import Sheet
from sphinx_framework.study.report.summary import markdown
from sphinx_framework.study.requests import StudyRequest

RECORDS = "scenes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Arguments that are checked already."""

    config: PipelineConfig
    registry: Registry
    request: StudyRequest


def open_study(arguments: argparse.Namespace) -> Opened:
    """Check everything cheap, before any scene or model is loaded."""
    require_matplotlib()
    request = StudyRequest.asked(vars(arguments))
    check_meter(arguments.energy)
    overrides = [*arguments.overrides, f"engine.energy={arguments.energy}"]
    config = load_config(arguments.config, overrides)
    if arguments.cost is not None:
        config = config.model_copy(update={"cost": load_cost(arguments.cost)})
    return Opened(config=config, registry=Registry.from_entry_points(), request=request)


def run_study(
    arguments: argparse.Namespace, opened: Opened, systems: list[System], kind: str, shown: str
) -> int:
    """Measure (or go on measuring), write everything, print the tables.

    shown: the system whose best, median and worst scene the page shows.
    """
    names = [system.name for system in systems]
    if shown not in names:
        raise ConfigError(
            f"--show {shown}: no such system.",
            hint=f"{suggestion(shown, names)}Systems: {', '.join(names)}.",
        )
    read = [arguments.index, arguments.config, arguments.cost]
    with open_output(arguments.out, scenes=arguments.scenes, files=read, holds=A_STUDY) as folder:
        study = _studied(arguments, opened, systems, kind, shown, folder)
    out = Path(arguments.out)
    if arguments.json:
        print_json({"out": str(out), **results(study)})
        return 0
    console = Console()
    for section in tables(study):
        console.print(section.title, markup=False)
        console.print(markdown(section.lines), markup=False, highlight=False, soft_wrap=True)
    console.print(f"look at {out / 'index.html'}", markup=False, soft_wrap=True)
    return 0


def _studied(
    arguments: argparse.Namespace,
    opened: Opened,
    systems: list[System],
    kind: str,
    shown: str,
    folder: OutputFolder,
) -> Study:
    """Measure what the folder has no record of, and publish tables, figures and the page."""
    scenes = scene_sources(arguments.scenes, arguments.index, opened.config, opened.registry)
    bench, notes = _bench(arguments, opened.config, systems, opened.registry)
    with study_progress(len(scenes) * len(systems) * arguments.repeats) as progress:

        def resumed(renders: int) -> None:
            if renders and arguments.engine == "local":
                progress.skip(renders, f"{arguments.out}: goes on after {renders} recorded renders")

        if arguments.engine == "ray":
            measured_on_cluster(
                partial(_measuring, arguments, opened.config, systems),
                [name for name, _ in scenes],
                folder.path / RECORDS,
                folder.write_path,
                opened.config,
                arguments.device,
                lambda name: progress.advance(len(systems) * arguments.repeats),
            )
        bench = replace(bench, rendered=progress.advance)
        records = list(evaluate(bench, scenes, folder.path / RECORDS, resumed, folder.write_path))
    study = Study(
        kind=kind,
        config=opened.config,
        systems=systems,
        records=records,
        command=command_line(),
        machine=bench.machine,
        objective=objective_of(opened.config, opened.registry),
        notes=[*notes, *_energy_notes(records)],
    )
    with folder.replacing(last="index.html", keep=_is_record) as new:
        write_study(new, study, _sheets(new, study, bench, scenes, shown))
    return study


def _bench(
    arguments: argparse.Namespace, config: PipelineConfig, systems: list[System], registry: Registry
) -> tuple[Bench, list[str]]:
    """What measures a scene, and notes on distances that are absent."""
    factory = EngineFactory(registry, arguments.device)
    found = {"lpips": load_lpips(factory.device), "features": load_features(factory.device)}
    bench = Bench(
        engines=factory.engines(config, systems),
        systems=systems,
        machine=machine_name(factory.device),
        seed=arguments.seed,
        repeats=arguments.repeats,
        distances={k: v.distance for k, v in found.items() if v.distance is not None},
    )
    return bench, [v.note for v in found.values()]


def _measuring(
    arguments: argparse.Namespace, config: PipelineConfig, systems: list[System]
) -> MeasureInto:
    """In a task's process: what measures one scene into a folder."""
    registry = Registry.from_entry_points()
    bench, _ = _bench(arguments, config, systems, registry)
    scenes = dict(scene_sources(arguments.scenes, arguments.index, config, registry))
    return lambda name, folder: list(evaluate(bench, [(name, scenes[name])], folder))


def _is_record(name: str) -> bool:
    """Whether a file holds measurements, which are kept from run to run."""
    return name.startswith(f"{RECORDS}/")


def command_line() -> str:
    """The command as it was typed."""
    return "sphinx-nvs " + shlex.join(sys.argv[1:])


def _energy_notes(records: Sequence[SceneRecord]) -> list[str]:
    notes = dict.fromkeys(r.energy_note for record in records for r in record.systems.values())
    return [f"Energy: {note}." for note in notes]


def _sheets(
    out: Path, study: Study, bench: Bench, scenes: Sequence[SceneSource], shown: str
) -> list[Sheet]:
    """Contact sheets of the best, median and worst scene, by the shown system and by diffusion."""
    folder = out / "sheets"
    folder.mkdir()
    kept = [scene["kept"] for scene in study.rows[shown]]
    ranked = sorted(range(len(scenes)), key=lambda index: kept[index])
    picks = {"Worst": ranked[0], "Median": ranked[len(ranked) // 2], "Best": ranked[-1]}
    labels: dict[int, list[str]] = {}
    for label, index in picks.items():
        labels.setdefault(index, []).append(label)
    by_name = {system.name: system for system in study.systems}
    sheets = []
    for index, told in labels.items():
        name, load = scenes[index]
        scene = load()
        for system in (by_name[system] for system in dict.fromkeys((shown, DENSE))):
            result = bench.engines[system.name].render(
                scene, mode=system.mode, quality=system.quality, seed=scene_seed(name, bench.seed)
            )
            path = folder / f"{file_stem(name)}-{file_stem(system.name)}.png"
            write_contact_sheet(path, result)
            share = f"score kept {kept[index]:.3f}" if system.name == shown else "full diffusion"
            title = f"{' and '.join(told)} scene of {shown}: {name}, by {system.name}, {share}"
            sheets.append(Sheet(title=title, png=path.read_bytes()))
    return sheets
