"""The order of jobs that wait: earliest deadline first, interrupted ones before all others."""

import time
from dataclasses import dataclass

from sphinx_framework.serve.predict import Predictor, Work
from sphinx_framework.serve.store import Row


@dataclass(slots=True)
class Job:
    """A job that waits or runs, as far as its order and its time matter."""

    identity: str
    key: tuple[bool, float, int]
    work: Work
    predicted: float
    started: float | None = None

    @classmethod
    def of(cls, row: Row, predictor: Predictor) -> "Job":
        """From a stored job."""
        scene = row["scene"]
        pixels = scene["height"] * scene["width"]
        work = Work(row["served"]["mode"], scene["targets"], pixels)
        return cls(
            row["id"],
            (not row["front"], row["deadline"], row["number"]),
            work,
            predictor.seconds(work) or row["predicted_seconds"],
        )

    def remaining(self) -> float:
        """Predicted seconds to its end; one that runs longer than predicted is nearly done."""
        if self.started is None:
            return self.predicted
        return max(0.0, self.predicted - (time.monotonic() - self.started))


class Queue:
    """Jobs that wait, and jobs that run."""

    def __init__(self, workers: int) -> None:
        """For a number of workers."""
        self.workers = workers
        self.waiting: dict[str, Job] = {}
        self.running: dict[str, Job] = {}

    def first(self) -> Job | None:
        """The job that is next."""
        return min(self.waiting.values(), key=lambda job: job.key, default=None)

    def place(self, identity: str) -> dict[str, float | int]:
        """Position (0 is next) and predicted wait of a waiting job."""
        job = self.waiting.get(identity)
        if job is None:
            return {"position": 0, "predicted_wait_seconds": 0.0}
        ahead = [other for other in self.waiting.values() if other.key < job.key]
        return {
            "position": len(ahead),
            "predicted_wait_seconds": round(self._seconds(ahead) / self.workers, 3),
        }

    def wait_seconds(self) -> float:
        """Predicted wait of a job that comes now and goes last."""
        return self._seconds(list(self.waiting.values())) / self.workers

    def room_seconds(self) -> float:
        """Predicted time until the next job leaves the queue."""
        remaining = [job.remaining() for job in self.running.values()]
        return min(remaining, default=0.0)

    def _seconds(self, ahead: list[Job]) -> float:
        running = sum(job.remaining() for job in self.running.values())
        return running + sum(job.predicted for job in ahead)
