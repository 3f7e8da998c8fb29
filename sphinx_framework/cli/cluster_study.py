"""``--engine ray`` of the studies: scenes are measured by tasks of a cluster, records kept here.

A task measures one scene into a folder of its own and sends the record home; what is recorded
already goes along, so that only what is missing is measured. Everything after it is as on one
machine, from the same records.
"""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sphinx_framework.cluster import spread
from sphinx_framework.config import PipelineConfig
from sphinx_framework.study.files import file_stem

Write = Callable[[Path, str], object]
MeasureInto = Callable[[str, Path], object]


def measured_on_cluster(
    make: Callable[[], MeasureInto],
    names: Sequence[str],
    folder: Path,
    write: Write,
    config: PipelineConfig,
    device: str,
    finished: Callable[[str], None],
) -> None:
    """Measure scenes by tasks, and write every record into the folder as it comes.

    make: gives a function ``(scene, folder)`` that measures one scene into a folder, in the task's
    process. finished: called with the name of every scene that is recorded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [(name, recorded(folder, name)) for name in names]
    task = partial(_in_own_folder, make)
    for index, text in spread(task, tasks, threads=config.engine.threads, device=device):
        name = names[index]
        if text != tasks[index][1]:
            write(folder / f"{file_stem(name)}.json", text)
        finished(name)


def recorded(folder: Path, name: str) -> str | None:
    """The record of a scene, where there is one."""
    path = folder / f"{file_stem(name)}.json"
    return path.read_text(encoding="utf-8") if path.exists() else None


def _in_own_folder(make: Callable[[], MeasureInto]) -> Callable[[str, str | None], str]:
    measure = make()

    def task(name: str, old: str | None) -> str:
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / f"{file_stem(name)}.json"
            if old is not None:
                path.write_text(old, encoding="utf-8")
            measure(name, Path(place))
            return path.read_text(encoding="utf-8")

    return task
