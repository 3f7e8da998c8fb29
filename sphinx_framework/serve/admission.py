"""Whether a job may come in now, when it may come again, and what it is served instead."""

from typing import Any

from sphinx_framework.serve.dispatcher import Dispatcher
from sphinx_framework.serve.predict import Work
from sphinx_framework.serve.problems import Problem, retry_after


def check_open(dispatcher: Dispatcher) -> None:
    """503 before the first worker has its models, and while the server stops.

    Later a worker that is being replaced is no reason: jobs wait for it in the queue.
    """
    if dispatcher.stopping or not dispatcher.pool.was_ready:
        stopping = dispatcher.stopping
        raise Problem(
            "not-ready",
            "The server is stopping." if stopping else "The server is starting.",
            headers=retry_after(10 if stopping else 3),
        )


def check_room(dispatcher: Dispatcher, waiting: int | None = None) -> None:
    """429 while the queue is full."""
    queue = dispatcher.queue
    if (queue.waiting_count() if waiting is None else waiting) >= dispatcher.settings.max_queue:
        raise Problem(
            "queue-full",
            f"{dispatcher.settings.max_queue} jobs are queued.",
            headers=retry_after(queue.room_seconds()),
        )


def served(dispatcher: Dispatcher, work: Work, quality: float, *, degrade: bool) -> dict[str, Any]:
    """Mode and quality that a job gets; 429 when it would wait too long.

    With ``degrade``, a job that would wait too long is served lower quality: how low, its plan
    decides by the load of that moment (``room``).
    """
    wait = dispatcher.queue.wait_seconds()
    longest = dispatcher.settings.max_wait_seconds
    if wait <= longest:
        return {"mode": work.mode, "quality": quality, "degraded": False}
    if degrade:
        lower = work.mode != "regression"
        return {"mode": work.mode, "quality": quality, "degraded": lower, "room": lower}
    raise Problem(
        "wait-too-long",
        f"The predicted wait of {wait:.0f} s is longer than {longest:g} s.",
        hint="Come back later, or ask with degrade = true.",
        headers=retry_after(wait - longest),
    )
