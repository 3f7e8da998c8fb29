"""What is done next, and by which worker: preparations first, then the earliest deadline.

Pure: it looks at workers and queue and changes nothing.
"""

import time
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sphinx_framework.serve.queue import Job, Queue, most_urgent

# Who waits longer than this gets regression views ahead of the refinement of others. Shorter
# queues move on by themselves, and a job that stays with its worker is the cheapest.
AHEAD_SECONDS = 1.0


class Bench(Protocol):
    """A worker as far as placing matters.

    stepping: it told a denoising step since its last task.
    """

    index: int
    ready: bool
    preparing: Job | None
    refining: dict[str, Job]
    stepping: bool

    @property
    def scenes(self) -> Container[str]:
        """Ids of scenes that it may still have."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """One stage of one job for one worker (by index)."""

    worker: int
    job: Job
    stage: Literal["prepare", "refine"]


def next_task(
    workers: Sequence[Bench], queue: Queue, batch: int, *, stopping: bool = False
) -> Task | None:
    """The next thing to do, or none while nobody can."""
    queued = None if stopping else most_urgent(queue.queued)
    prepared = most_urgent(queue.prepared)
    open_to_all = [w for w in workers if w.ready and w.preparing is None and not _alone(w)]
    roomy = [w for w in open_to_all if len(w.refining) < batch]
    ahead = queued is not None and _has_waited(queue)
    if queued is not None and (ahead or prepared is None or queued.key < prepared.key):
        found = _preparer(roomy, queued)
        if found is None and ahead and not queued.suspect:
            found = next((w for w in open_to_all if w.stepping), None)
        if found is not None:
            return Task(found.index, queued, "prepare")
        if queued.suspect:
            return None  # it needs a worker of its own: none gets anything until one is idle
    return _refinement(roomy, queue, prepared)


def _refinement(roomy: Sequence[Bench], queue: Queue, prepared: Job | None) -> Task | None:
    """The most urgent prepared job, by the worker that prepared it where that is free."""
    if prepared is None or not roomy:
        return None
    if prepared.suspect:
        idle = [w for w in roomy if not w.refining]
        return Task(idle[0].index, prepared, "refine") if idle else None
    by_index = {w.index: w for w in roomy}
    if prepared.holder in by_index:
        return Task(by_index[prepared.holder].index, prepared, "refine")
    for worker in roomy:  # its own first: nothing is computed twice
        own = {i: j for i, j in queue.prepared.items() if j.holder == worker.index}
        job = most_urgent(own)
        if job is not None and not job.suspect:
            return Task(worker.index, job, "refine")
    return Task(roomy[0].index, prepared, "refine")


def _preparer(roomy: Sequence[Bench], job: Job) -> Bench | None:
    """A worker that knows the scene, or the one with the least to do."""
    able = [w for w in roomy if not (job.suspect and w.refining)]
    return min(able, key=lambda w: (len(w.refining), job.scene not in w.scenes), default=None)


def _alone(worker: Bench) -> bool:
    """Whether the worker runs a job that may kill it: no other is put at risk."""
    jobs = list(worker.refining.values())
    return any(job.suspect for job in jobs)


def _has_waited(queue: Queue) -> bool:
    now = time.monotonic()
    return any(now - job.since > AHEAD_SECONDS for job in queue.queued.values())
