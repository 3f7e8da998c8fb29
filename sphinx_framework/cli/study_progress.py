"""Progress of a study: a bar on a terminal, a plain line now and then elsewhere; on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sphinx_framework.study.progress import Pace, told

SECONDS_BETWEEN_LINES = 10.0


class StudyProgress:
    """Renders done of all renders, and the time that the rest takes."""

    def __init__(self, total: int, console: Console, progress: Progress | None) -> None:
        self.pace = Pace(total)
        self._console = console
        self._progress = progress
        self._task = progress.add_task("renders", total=total, left="") if progress else None
        self._last = perf_counter()

    def advance(self, renders: int = 1) -> None:
        """Renders are done."""
        self.pace.advance(renders)
        self._show()

    def skip(self, renders: int, what: str) -> None:
        """An earlier run has done these renders."""
        self.pace.skip(renders)
        # Wrapped lines would cut a path in two.
        self._console.print(what, highlight=False, markup=False, soft_wrap=True)
        self._show()

    def _show(self) -> None:
        left = told(self.pace.remaining_seconds)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=self.pace.finished, left=left)
            return
        now = perf_counter()
        if now - self._last >= SECONDS_BETWEEN_LINES or self.pace.finished == self.pace.total:
            self._last = now
            self._console.print(
                f"{self.pace.finished} of {self.pace.total} renders, {left}", highlight=False
            )


@contextmanager
def study_progress(total: int) -> Iterator[StudyProgress]:
    """Show progress on stderr while the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield StudyProgress(total, console, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield StudyProgress(total, console, progress)
