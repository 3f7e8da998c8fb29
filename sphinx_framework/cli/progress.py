"""Progress of a request: a bar on a terminal, plain lines elsewhere; always on stderr."""

from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sphinx_framework.engine.events import (
    CoarseReady,
    Event,
    Finished,
    FrameFinal,
    Planned,
    StepDone,
)
from sphinx_framework.engine.result import RenderResult
from sphinx_framework.errors import JobError


def show_progress(events: Iterable[Event], console: Console) -> RenderResult:
    """Consume a request's events and return its result."""
    if console.is_terminal:
        return _bar(events, console)
    for event in events:
        match event:
            case CoarseReady(coarse=coarse):
                console.print(f"regression: {len(coarse.images)} views ready")
            case Planned(schedules=schedules):
                total = sum(len(s.actions) for s in schedules)
                console.print(f"plan: {total} denoising steps")
            case StepDone(done=done, total=total) if done == total or done % 10 == 0:
                console.print(f"denoise: step {done} of {total}")
            case Finished(result=result):
                return result
            case _:
                pass
    raise JobError("the engine ended without a result")


def _bar(events: Iterable[Event], console: Console) -> RenderResult:
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("regression", total=None)
        final = 0
        for event in events:
            match event:
                case CoarseReady():
                    progress.update(task, description="quality and plan")
                case Planned(schedules=schedules):
                    total = sum(len(s.actions) for s in schedules)
                    progress.update(task, description="denoise", total=max(total, 1))
                case StepDone(done=done, kind=kind):
                    progress.update(task, completed=done, description=f"denoise ({kind})")
                case FrameFinal():
                    final += 1
                    progress.update(task, description=f"{final} frames final")
                case Finished(result=result):
                    return result
                case _:
                    pass
    raise JobError("the engine ended without a result")
