"""Progress of a request: a bar on a terminal, plain lines elsewhere; always on stderr."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
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
from sphinx_framework.texts import counted


def show_progress(events: Iterable[Event], console: Console) -> RenderResult:
    """Consume a request's events and return its result."""
    if console.is_terminal:
        return _bar(events, console)
    for event in events:
        match event:
            case CoarseReady(coarse=coarse):
                console.print(f"regression: {counted(len(coarse.images), 'view')} ready")
            case Planned(schedules=schedules):
                total = sum(len(s.actions) for s in schedules)
                console.print(f"plan: {counted(total, 'denoising step')}")
            case StepDone(done=done, total=total) if done == total or done % 10 == 0:
                console.print(f"denoise: step {done} of {total}")
            case Finished(result=result):
                return result
            case _:
                pass
    raise JobError("the engine ended without a result")


class ManyProgress:
    """One bar over all scenes on a terminal, a line per scene elsewhere."""

    def __init__(self, total: int, console: Console, progress: Progress | None) -> None:
        self._total, self._console, self._progress, self._done = total, console, progress, 0
        self._task = progress.add_task("", total=total) if progress else None

    def begin(self, name: str) -> None:
        """A scene is next."""
        self._name = name
        self._say("loading")

    def events(self, events: Iterable[Event]) -> RenderResult:
        """Consume a request's events and return its result."""
        for event in events:
            match event:
                case CoarseReady():
                    self._say("quality and plan")
                case StepDone(done=done, total=total):
                    self._say(f"step {done} of {total}", (done / total) if total else 0)
                case Finished(result=result):
                    self._say("writing", 1)
                    return result
                case _:
                    pass
        raise JobError("the engine ended without a result")

    def end(self, told: str) -> None:
        """A scene is over."""
        self._done += 1
        if self._progress is None:
            line = f"[{self._done}/{self._total}] {told}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            self._say("done")

    def _say(self, what: str, share: float = 0.0) -> None:
        if self._progress is not None and self._task is not None:
            told = f"{escape(self._name[-24:])}: {what}"
            # What a scene has left after its steps is short; its last tenth is kept for that.
            self._progress.update(self._task, completed=self._done + 0.9 * share, description=told)


@contextmanager
def many_progress(total: int, console: Console) -> Iterator[ManyProgress]:
    """Show the progress of several requests while the block runs."""
    if not console.is_terminal:
        yield ManyProgress(total, console, None)
        return
    columns = (
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total} scenes"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield ManyProgress(total, console, progress)


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
