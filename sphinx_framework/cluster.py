"""Work on a Ray cluster: joining one, and tasks by actors that keep their models.

Ray is imported when used: a heavy extra, ``sphinx-framework[ray]``.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from sphinx_framework.errors import ConfigError, JobError, SphinxError

STORE_BYTES = 100_000_000  # what is passed is small; files go through a shared folder
TRIES = 3
HINT = 'Install the extra: pip install "sphinx-framework[ray]".'

Work = Callable[..., Any]
Make = Callable[[], Work]


@contextmanager
def joined(what: str) -> Iterator[tuple[Any, bool]]:
    """Ray, connected to the cluster of ``RAY_ADDRESS`` or to one started here; whether it is ours.

    what: for the message when Ray is missing. Raises :class:`ConfigError` without Ray or cluster.
    """
    try:
        ray: Any = import_module("ray")
    except ImportError:
        raise ConfigError(
            f"{what} needs Ray, which is not installed.",
            hint=HINT,
        ) from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    theirs = bool(os.environ.get("RAY_ADDRESS"))
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": STORE_BYTES}
    try:
        ray.init(logging_level="warning", **({} if theirs else own))
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"the Ray cluster cannot be joined or started: {error}",
            hint="Check RAY_ADDRESS; without it a cluster starts on this machine.",
        ) from None
    try:
        yield ray, not theirs
    finally:
        ray.shutdown()


def require_room(ray: Any, wanted: Mapping[str, float], what: str) -> None:
    """Raise :class:`ConfigError` where the cluster is too small: Ray would wait for ever."""
    there = ray.cluster_resources()
    for kind, number in wanted.items():
        if there.get(kind, 0.0) < number:
            raise ConfigError(
                f"{what} need {number:g} {kind}; the Ray cluster has {there.get(kind, 0.0):g}.",
                hint="Ask for fewer workers or threads, or use a larger cluster.",
            )


def spread(
    make: Make, tasks: Sequence[tuple[Any, ...]], *, threads: int | None, device: str
) -> Iterator[tuple[int, Any]]:
    """Run ``make()(*task)`` for every task; its index and result in the order of completion.

    Every actor calls ``make`` once and uses ``threads`` torch threads (``None``: as many as this
    process), so that results have the bytes of one process with as many. As many actors run as the
    cluster has room for. A task whose actor dies is tried again by a new one.

    Raises :class:`SphinxError` as the work raises it, :class:`JobError` for a task that kills its
    actors, :class:`ConfigError` without Ray or room for one actor.
    """
    import torch

    threads = threads or torch.get_num_threads()
    gpus = 1.0 if device.startswith("cuda") else 0.0
    with joined("--engine ray") as (ray, _):
        require_room(ray, {"CPU": threads, "GPU": gpus}, f"Tasks of {threads} threads")
        there = ray.cluster_resources()
        room = int(there["CPU"] // threads)
        room = min(room, int(there["GPU"] // gpus)) if gpus else room
        options = {
            "num_cpus": threads,
            "num_gpus": gpus,
            "max_restarts": -1,
            "max_task_retries": TRIES - 1,
        }
        remote = ray.remote(**options)(_Actor)
        actors = [remote.remote(make, threads, os.getcwd()) for _ in range(min(room, len(tasks)))]
        waiting = list(enumerate(tasks))[::-1]
        running: dict[Any, tuple[int, Any]] = {}
        while waiting or running:
            while waiting and actors:
                index, task = waiting.pop()
                actor = actors.pop()
                running[actor.run.remote(*task)] = index, actor
            (done,), _ = ray.wait(list(running), num_returns=1)
            index, actor = running.pop(done)
            actors.append(actor)
            try:
                result, error = ray.get(done)
            except ray.exceptions.RayActorError:
                raise JobError(f"{tasks[index][0]}: its task died {TRIES} times.") from None
            if error is not None:
                raise error
            yield index, result


class _Actor:
    """Keeps what ``make`` built from task to task."""

    def __init__(self, make: Make, threads: int, folder: str) -> None:
        import torch

        torch.set_num_threads(threads)
        os.chdir(folder)  # what the user names is relative to it
        self._make = make
        self._work: Work | None = None

    def run(self, *task: Any) -> tuple[Any, SphinxError | None]:
        """The result, or an error that is told as if it had happened at home."""
        try:
            if self._work is None:
                self._work = self._make()
            return self._work(*task), None
        except SphinxError as error:
            return None, type(error)(error.message, hint=error.hint)
