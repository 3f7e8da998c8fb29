"""The order of jobs: earliest deadline first, interrupted ones before all others.

A job is queued until a worker takes it for its short first stage, then prepared until one refines
it, which may be at once; and at work in between.
"""

import time
from dataclasses import dataclass, field

from sphinx_framework.serve.predict import Predictor, Work, work_of
from sphinx_framework.serve.store import Row

Key = tuple[bool, float, int]


@dataclass(slots=True)
class Job:
    """A job that is not over, as far as its order and its time matter.

    since: when it came into the queue. suspect: a worker died while it ran. holder: the worker
    that prepared it. spent: seconds of its attempt on workers; cost: its share of them, where a
    call of the network served several jobs. planned: seconds that its plan predicts, 0 while that
    is not known. told_waiting: that it was put back is said.
    """

    identity: str
    key: Key
    work: Work
    predicted: float
    scene: str = ""
    attempt: int = 0
    suspect: bool = False
    holder: int | None = None
    spent: float = 0.0
    cost: float = 0.0
    planned: float = 0.0
    told_waiting: bool = False
    since: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, row: Row, predictor: Predictor) -> "Job":
        """From a stored job."""
        work = work_of(row)
        return cls(
            row["id"],
            (not row["front"], row["deadline"], row["number"]),
            work,
            predictor.seconds(work) or row["predicted_seconds"],
            scene=row["scene_id"],
            suspect=row["deaths"] > 0,
        )

    def remaining(self) -> float:
        """Predicted seconds to its end; one that runs longer than predicted is nearly done."""
        return max(0.0, self.predicted - self.cost)


def most_urgent(jobs: dict[str, Job]) -> Job | None:
    """The first by key."""
    return min(jobs.values(), key=lambda job: job.key, default=None)


class Queue:
    """Jobs that wait to be prepared, jobs that wait to be refined, and jobs at work."""

    def __init__(self, workers: int) -> None:
        """For a number of workers."""
        self.workers = workers
        self.queued: dict[str, Job] = {}
        self.prepared: dict[str, Job] = {}
        self.at_work: dict[str, Job] = {}

    @property
    def running(self) -> dict[str, Job]:
        """Jobs with the status ``running``."""
        return {**self.prepared, **self.at_work}

    def take(self, job: Job) -> None:
        """A worker has it."""
        self.queued.pop(job.identity, None)
        self.prepared.pop(job.identity, None)
        self.at_work[job.identity] = job

    def remove(self, identity: str) -> Job | None:
        """The job is over, or begins anew."""
        for place in (self.at_work, self.prepared, self.queued):
            if identity in place:
                return place.pop(identity)
        return None

    def place(self, identity: str) -> dict[str, float | int]:
        """Position (0 is next) and predicted wait of a waiting job."""
        job = self.queued.get(identity)
        if job is None:
            return {"position": 0, "predicted_wait_seconds": 0.0}
        ahead = [other for other in self._waiting() if other.key < job.key]
        return {
            "position": len(ahead),
            "predicted_wait_seconds": round(self._seconds(ahead) / self.workers, 3),
        }

    def waiting_count(self) -> int:
        """Jobs that no worker has."""
        return len(self.queued) + len(self.prepared)

    def wait_seconds(self) -> float:
        """Predicted wait of a job that comes now and goes last."""
        return self._seconds(self._waiting()) / self.workers

    def room_seconds(self) -> float:
        """Predicted time until the next job leaves a worker."""
        return min((job.remaining() for job in self.at_work.values()), default=0.0)

    def _waiting(self) -> list[Job]:
        return [*self.queued.values(), *self.prepared.values()]

    def _seconds(self, ahead: list[Job]) -> float:
        running = sum(job.remaining() for job in self.at_work.values())
        return running + sum(job.remaining() for job in ahead)
