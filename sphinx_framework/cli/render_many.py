"""``render --scenes``: several scenes with one engine; each succeeds, fails or is skipped alone."""

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sphinx_framework.cli.answer import print_json
from sphinx_framework.cli.batch import REQUEST, out_folders, request_of
from sphinx_framework.cli.progress import ManyProgress, many_progress
from sphinx_framework.cli.render import asked_pipeline, load_asked
from sphinx_framework.cli.scenes import is_scene_folder, scene_names
from sphinx_framework.cluster import spread
from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.result import RenderResult
from sphinx_framework.engine.stream import Stream
from sphinx_framework.errors import SphinxError, raised
from sphinx_framework.folders.folder import OutputFolder
from sphinx_framework.folders.guard import refuse_overlap, user_path
from sphinx_framework.folders.manifest import RENDERED
from sphinx_framework.output.results import REPORT, write_result
from sphinx_framework.output.saving import Saving, saving
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.load import installed_readers, is_unposed

KINDS = ("rendered", "skipped", "failed")


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of one scene."""

    scene: str
    out: str
    status: Literal["rendered", "skipped", "failed"]
    seconds: float = 0.0
    targets: int = 0
    refined: int = 0
    psnr: float | None = None
    error: str = ""


def render_many(arguments: argparse.Namespace) -> int:
    """Render every scene below its own name in the output folder; 1 if any of them failed."""
    chosen = saving(arguments.save, arguments.fps)
    config, registry = asked_pipeline(arguments)
    names = scene_names(arguments.scenes, registry, also=is_unposed)
    root = user_path(arguments.out, "--out")
    read = [arguments.config, arguments.cost, arguments.targets]
    refuse_overlap(root, "--out", scenes=arguments.scenes, files=[file for file in read if file])
    console = Console(stderr=True)
    if not arguments.json:
        for folder in _left_out(arguments.scenes, names, registry):
            console.print(f"note: {folder}: holds no scene, left out", markup=False, soft_wrap=True)
    tasks = [
        (argparse.Namespace(**{**vars(arguments), "scene": name, "out": str(out)}),)
        for name, out in out_folders(names, root).items()
    ]
    with many_progress(len(names), console) as progress:
        if arguments.engine == "ray":
            outcomes = _on_cluster(arguments, config, tasks, progress)
        else:
            render_one = _renderer(arguments, config, registry, chosen, progress.events)
            outcomes = []
            for (one,) in tasks:
                progress.begin(one.scene)
                outcomes.append(render_one(one))
                progress.end(_line(outcomes[-1]))
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    if arguments.json:
        told = [asdict(outcome) for outcome in outcomes]
        print_json({"out": str(root), "failed": failed, "scenes": told})
    else:
        _table(Console(), outcomes, root)
    return 1 if failed else 0


def _on_cluster(
    arguments: argparse.Namespace,
    config: PipelineConfig,
    tasks: list[tuple[argparse.Namespace]],
    progress: ManyProgress,
) -> list[Outcome]:
    """Outcomes of tasks of a cluster, a scene a task."""
    found: dict[int, Outcome] = {}
    threads = config.engine.threads
    make = partial(_renderer, arguments)
    for index, outcome in spread(make, tasks, threads=threads, device=arguments.device):
        found[index] = outcome
        progress.begin(outcome.scene)
        progress.end(_line(outcome))
    return [found[index] for index in sorted(found)]


def _renderer(
    arguments: argparse.Namespace,
    config: PipelineConfig | None = None,
    registry: Registry | None = None,
    chosen: Saving | None = None,
    shown: Callable[[Any], RenderResult] = Stream.result,
) -> Callable[[argparse.Namespace], Outcome]:
    """What renders one scene; models are built for the first that is to be rendered, once."""
    if config is None or registry is None:
        config, registry = asked_pipeline(arguments)
    chosen = chosen or saving(arguments.save, arguments.fps)
    engine: list[Engine] = []

    def opened() -> Engine:
        if not engine:
            policy = arguments.licence_policy
            engine.append(
                Engine.from_config(
                    config, device=arguments.device, registry=registry, licence_policy=policy
                )
            )
        return engine[0]

    return lambda one: _render_one(one, config, registry, opened, chosen, shown)


def _render_one(
    arguments: argparse.Namespace,
    config: PipelineConfig,
    registry: Registry,
    opened: Callable[[], Engine],
    chosen: Saving,
    shown: Callable[[Any], RenderResult],
) -> Outcome:
    """Load, render and write one scene; whatever goes wrong is its outcome."""
    outcome = Outcome(scene=arguments.scene, out=arguments.out, status="rendered")
    started = perf_counter()
    try:
        with OutputFolder(arguments.out, holds=RENDERED, scenes=[arguments.scene]) as folder:
            request = request_of(arguments, config, chosen)
            if _is_done(folder, request):
                outcome.status = "skipped"
                return outcome
            begun = perf_counter()
            scene = load_asked(arguments, config, registry)
            load_seconds = perf_counter() - begun
            result = shown(
                opened().stream(
                    scene, quality=arguments.quality, mode=arguments.mode, seed=arguments.seed
                )
            )
            result.report.seconds.load = load_seconds
            result.report.seconds.total += load_seconds
            with folder.replacing(last=REPORT) as new:
                (new / REQUEST).write_text(request, encoding="utf-8")
                write_result(result, new, chosen)
    except SphinxError as error:
        outcome.status, outcome.error = "failed", f"{error.message} {error.hint or ''}".strip()
    except Exception as error:
        if arguments.debug:
            raise
        outcome.status, outcome.error = "failed", raised(error)
    else:
        frames = result.report.frames
        known = [frame.psnr for frame in frames if frame.psnr is not None]
        outcome.targets = len(frames)
        outcome.refined = sum(frame.served == "refined" for frame in frames)
        outcome.psnr = sum(known) / len(known) if known else None
    outcome.seconds = perf_counter() - started
    return outcome


def _is_done(folder: OutputFolder, request: str) -> bool:
    if REPORT not in folder or REQUEST not in folder or not folder.whole():
        return False
    try:
        return (folder.path / REQUEST).read_text(encoding="utf-8") == request
    except (OSError, ValueError):
        return False


def _left_out(given: list[str], names: list[str], registry: Registry) -> list[str]:
    """Folders inside of those named that are no scenes."""
    taken = {str(Path(name).expanduser()) for name in names}
    readers = installed_readers(registry)
    inner = [
        place
        for name in given
        if Path(name).expanduser().is_dir() and name not in names
        for place in sorted(Path(name).expanduser().iterdir())
        if place.is_dir() and not place.name.startswith(".")
    ]
    return [str(p) for p in inner if str(p) not in taken and not is_scene_folder(p, readers)]


def _line(outcome: Outcome) -> str:
    told = f" ({outcome.error})" if outcome.error else ""
    return f"{outcome.scene}: {outcome.status}, {outcome.seconds:.1f} s{told}"


def _table(console: Console, outcomes: list[Outcome], root: Path) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("scene", "outcome", "targets", "refined", "PSNR", "seconds"):
        table.add_column(name, justify="left" if name in ("scene", "outcome") else "right")
    for outcome in outcomes:
        done = outcome.status == "rendered"
        table.add_row(
            escape(Path(outcome.out).name),
            outcome.status,
            str(outcome.targets) if done else "-",
            str(outcome.refined) if done else "-",
            "-" if outcome.psnr is None else f"{outcome.psnr:.2f}",
            f"{outcome.seconds:.1f}" if done else "-",
        )
    console.print(table)
    for outcome in outcomes:
        if outcome.error:
            told = f"{outcome.scene}: {outcome.error}"
            console.print(told, markup=False, highlight=False, soft_wrap=True)
    counts = {kind: sum(o.status == kind for o in outcomes) for kind in KINDS}
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    console.print(f"{told}; look in {root}", markup=False, highlight=False, soft_wrap=True)
