"""The transitions of a running job; each is refused unless it starts where it must."""

import time
from typing import Any

from sqlalchemy import update

from sphinx_framework.serve.database import Transaction
from sphinx_framework.serve.journal import append
from sphinx_framework.serve.problems import job_error
from sphinx_framework.serve.store import Row, add_files, end, peek, require
from sphinx_framework.serve.tables import jobs

PICTURES = {"preview": "preview", "frame": "frame"}


def start(transaction: Transaction, identity: str) -> Row | None:
    """``queued -> running``, or nothing when the job is not queued any more."""
    changed = transaction.connection.execute(
        update(jobs)
        .where(jobs.c.id == identity, jobs.c.status == "queued")
        .values(
            status="running",
            attempt=jobs.c.attempt + 1,
            started=time.time(),
            front=False,
            plan=None,
            stage="load",
            step=0,
            total=1,
        )
    )
    if not changed.rowcount:
        return None
    row = require(transaction, identity)
    append(transaction, identity, row["attempt"], "status", status="running", reason=None)
    return row


def requeue(
    transaction: Transaction, identity: str, reason: str, *, died: bool, front: bool | None = None
) -> Row:
    """``running -> queued``; a job that was asked to stop ends canceled instead.

    died: the worker's death counts against the job. front: it goes before all others (``died``).
    """
    row = require(transaction, identity)
    if row["status"] != "running":
        return row
    if row["cancel_requested"]:
        end(transaction, row, "canceled")
        return require(transaction, identity)
    transaction.connection.execute(
        update(jobs)
        .where(jobs.c.id == identity)
        .values(
            status="queued",
            deaths=row["deaths"] + int(died),
            front=died if front is None else front,
            plan=None,
            stage="queued",
            step=0,
            total=0,
        )
    )
    append(transaction, identity, row["attempt"], "status", status="queued", reason=reason)
    return require(transaction, identity)


def lost(transaction: Transaction, identity: str, max_attempts: int) -> Row:
    """A worker died: the job runs again, until it has cost too many of them."""
    row = require(transaction, identity)
    if row["status"] == "running" and not row["cancel_requested"]:
        deaths = row["deaths"] + 1
        if deaths >= max_attempts:
            error = job_error(
                "worker-lost", f"The worker process died {deaths} times while running this job."
            )
            end(transaction, row, "failed", error)
            return require(transaction, identity)
    return requeue(transaction, identity, "worker-lost", died=True)


def displaced(transaction: Transaction, identity: str) -> Row:
    """A worker died over another job: this one runs again, first, and is not charged."""
    return requeue(transaction, identity, "worker-lost", died=False, front=True)


def refuse(transaction: Transaction, identity: str, error: dict[str, str]) -> Row:
    """Fail a job that nobody works at, unless it was to be canceled."""
    row = require(transaction, identity)
    if row["status"] in ("queued", "running"):
        status, said = ("canceled", None) if row["cancel_requested"] else ("failed", error)
        end(transaction, row, status, said)
    return require(transaction, identity)


def finish(
    transaction: Transaction,
    identity: str,
    status: str,
    error: dict[str, str] | None = None,
    entries: list[dict[str, Any]] | None = None,
    seconds: float = 0.0,
) -> Row:
    """``running -> succeeded | failed | canceled``; an accepted cancel always wins.

    seconds: what the job took of a worker; the next server's predictions begin with it.
    """
    row = require(transaction, identity)
    if row["status"] != "running":
        return row
    if row["cancel_requested"]:
        status, error = "canceled", None
    if status == "succeeded":
        add_files(transaction, identity, entries or [], in_result=True)
        transaction.connection.execute(
            update(jobs).where(jobs.c.id == identity).values(predicted_seconds=seconds)
        )
    end(transaction, row, status, error)
    return require(transaction, identity)


def tell(transaction: Transaction, message: dict[str, Any]) -> None:
    """Store what a worker told of the attempt that runs; anything older is dropped."""
    identity, attempt, kind = message["job"], message["attempt"], message["kind"]
    row = peek(transaction, identity)  # deleted meanwhile, perhaps: a database may keep us waiting
    if row is None or row["status"] != "running" or row["attempt"] != attempt:
        return
    if kind == "progress":
        place = {key: message[key] for key in ("stage", "step", "total")}
        transaction.connection.execute(update(jobs).where(jobs.c.id == identity).values(**place))
        append(transaction, identity, attempt, "progress", **place)
    elif kind == "plan":
        plan = message["plan"]
        # What a degraded job is served was decided by its plan, and holds for every attempt.
        served = {name: plan[name] for name in ("mode", "quality", "degraded")}
        transaction.connection.execute(
            update(jobs).where(jobs.c.id == identity).values(plan=plan, served=served)
        )
        append(transaction, identity, attempt, "plan", plan=plan, **message["more"])
    elif kind in PICTURES:
        file = message["file"]
        add_files(transaction, identity, [file], in_result=False)
        fields = {
            "index": message["index"],
            "url": file_url(identity, file["name"]),
            "sha256": file["sha256"],
            "bytes": file["bytes"],
        }
        if kind == "frame":
            fields["served"] = message["served"]
        append(transaction, identity, attempt, PICTURES[kind], **fields)


def file_url(identity: str, name: str) -> str:
    """Where a file is served."""
    return f"/v1/jobs/{identity}/files/{name}"
