"""A job as clients see it."""

from typing import Any

from sphinx_framework.serve.clock import rfc3339
from sphinx_framework.serve.store import Row


def job_view(row: Row, queue: dict[str, Any] | None) -> dict[str, Any]:
    """The job object; ``queue`` is its place while it is queued."""
    link = f"/v1/jobs/{row['id']}"
    return {
        "id": row["id"],
        "object": "job",
        "status": row["status"],
        "cancel_requested": row["cancel_requested"],
        "created_at": rfc3339(row["created"]),
        "started_at": _moment(row["started"]),
        "finished_at": _moment(row["finished"]),
        "attempt": row["attempt"],
        "model": row["model"],
        "request": row["request"],
        "scene": row["scene"],
        "queue": queue if row["status"] == "queued" else None,
        "progress": {"stage": row["stage"], "step": row["step"], "total": row["total"]},
        "plan": row["plan"],
        "error": row["error"],
        "links": {
            "self": link,
            "events": f"{link}/events",
            "cancel": f"{link}/cancel",
            "result": f"{link}/result",
        },
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(seconds)
