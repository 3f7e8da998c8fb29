"""Jobs in the database: accepting, finding, listing, deleting."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, select, update

from sphinx_framework.serve.database import Transaction
from sphinx_framework.serve.journal import append
from sphinx_framework.serve.tables import events, files, jobs, pipeline

FINAL = ("succeeded", "failed", "canceled")
STATUSES = ("queued", "running", *FINAL)
Row = RowMapping


def accept(transaction: Transaction, values: dict[str, Any]) -> Row:
    """Store a new job and its first event."""
    transaction.connection.execute(insert(jobs).values(status="queued", **values))
    append(transaction, values["id"], 0, "status", status="queued", reason=None)
    return require(transaction, values["id"])


def by_key(transaction: Transaction, owner: str, key: str) -> Row | None:
    """The job that an idempotency key stands for."""
    return _one(transaction, jobs.c.owner == owner, jobs.c.idempotency_key == key)


def find(transaction: Transaction, owner: str, identity: str) -> Row | None:
    """A job of an owner; those of others do not exist."""
    return _one(transaction, jobs.c.owner == owner, jobs.c.id == identity)


def peek(transaction: Transaction, identity: str) -> Row | None:
    """A job of anybody's, if it is still there."""
    return _one(transaction, jobs.c.id == identity)


def require(transaction: Transaction, identity: str) -> Row:
    """A job that is known to exist."""
    row = peek(transaction, identity)
    if row is None:
        raise KeyError(identity)
    return row


def page(
    transaction: Transaction,
    owner: str,
    *,
    status: str | None,
    limit: int,
    after: str | None,
    newest_first: bool = True,
) -> tuple[list[Row], bool] | None:
    """Jobs of an owner and whether there are more; none when ``after`` is not one of them."""
    query = select(jobs).where(jobs.c.owner == owner)
    if status is not None:
        query = query.where(jobs.c.status == status)
    if after is not None:
        last = find(transaction, owner, after)
        if last is None:
            return None
        number = last["number"]
        query = query.where(jobs.c.number < number if newest_first else jobs.c.number > number)
    order = jobs.c.number.desc() if newest_first else jobs.c.number.asc()
    rows = transaction.connection.execute(query.order_by(order).limit(limit + 1)).mappings().all()
    return list(rows[:limit]), len(rows) > limit


def last_pipeline(transaction: Transaction) -> str | None:
    """Digest of what the last server ran, or none before the first one."""
    return transaction.connection.execute(select(pipeline.c.digest)).scalar()


def note_pipeline(transaction: Transaction, digest: str) -> None:
    """Say what this server runs, once no job waits for another one."""
    transaction.connection.execute(delete(pipeline))
    transaction.connection.execute(insert(pipeline).values(number=1, digest=digest))


def unfinished(transaction: Transaction) -> list[Row]:
    """Queued and running jobs, in the order they came."""
    query = select(jobs).where(jobs.c.status.in_(("queued", "running"))).order_by(jobs.c.number)
    return list(transaction.connection.execute(query).mappings().all())


def last_succeeded(transaction: Transaction, limit: int) -> list[Row]:
    """The jobs that ended last, the newest first."""
    query = select(jobs).where(jobs.c.status == "succeeded").order_by(jobs.c.finished.desc())
    return list(transaction.connection.execute(query.limit(limit)).mappings().all())


def finished_before(transaction: Transaction, moment: float, limit: int) -> list[str]:
    """Finished jobs that ended before a moment, the oldest first."""
    query = (
        select(jobs.c.id)
        .where(jobs.c.status.in_(FINAL), jobs.c.finished < moment)
        .order_by(jobs.c.finished)
        .limit(limit)
    )
    return list(transaction.connection.execute(query).scalars())


def remove(transaction: Transaction, identity: str) -> str | None:
    """Forget a finished job, with its events, files and key; returns its scene's id."""
    row = peek(transaction, identity)
    if row is None or row["status"] not in FINAL:
        return None
    for table in (events, files):
        transaction.connection.execute(delete(table).where(table.c.job == identity))
    transaction.connection.execute(delete(jobs).where(jobs.c.id == identity))
    return str(row["scene_id"])


def scene_is_used(transaction: Transaction, scene_id: str, owner: str | None = None) -> bool:
    """Whether a job (of an owner) has this scene."""
    query = select(func.count()).select_from(jobs).where(jobs.c.scene_id == scene_id)
    if owner is not None:
        query = query.where(jobs.c.owner == owner)
    return bool(transaction.connection.execute(query).scalar_one())


def known(transaction: Transaction) -> tuple[set[str], set[str]]:
    """Ids of all jobs and of their scenes."""
    rows = transaction.connection.execute(select(jobs.c.id, jobs.c.scene_id)).all()
    return {row[0] for row in rows}, {row[1] for row in rows}


def add_files(
    transaction: Transaction, job: str, entries: Sequence[Mapping[str, Any]], *, in_result: bool
) -> None:
    """Make files known; one of an earlier attempt is described anew."""
    names = [entry["name"] for entry in entries]
    transaction.connection.execute(delete(files).where(files.c.job == job, files.c.name.in_(names)))
    if entries:
        rows = [{**entry, "job": job, "in_result": in_result} for entry in entries]
        transaction.connection.execute(insert(files), rows)


def file_of(transaction: Transaction, job: str, name: str) -> Row | None:
    """A file by its exact name."""
    query = select(files).where(files.c.job == job, files.c.name == name)
    return transaction.connection.execute(query).mappings().first()


def result_files(transaction: Transaction, job: str) -> list[Row]:
    """The manifest's files, by name."""
    query = select(files).where(files.c.job == job, files.c.in_result).order_by(files.c.name)
    return list(transaction.connection.execute(query).mappings().all())


def request_cancel(transaction: Transaction, owner: str, identity: str) -> Row | None:
    """Cancel a queued job at once, mark a running one; the row as it is afterwards."""
    row = find(transaction, owner, identity)
    if row is None:
        return None
    if row["status"] == "queued":
        end(transaction, row, "canceled")
    elif row["status"] == "running":
        transaction.connection.execute(
            update(jobs).where(jobs.c.id == identity).values(cancel_requested=True)
        )
    return require(transaction, identity)


def end(
    transaction: Transaction, row: Row, status: str, error: dict[str, str] | None = None
) -> None:
    """Make a job's status final, with its last event."""
    values: dict[str, Any] = {"status": status, "error": error, "finished": time.time()}
    if status == "succeeded":
        values |= {"stage": "done", "step": 1, "total": 1}
    if status == "canceled":
        values["cancel_requested"] = True
    transaction.connection.execute(update(jobs).where(jobs.c.id == row["id"]).values(**values))
    append(transaction, row["id"], row["attempt"], "done", status=status, error=error)


def _one(transaction: Transaction, *conditions: Any) -> Row | None:
    query = select(jobs).where(*conditions)
    return transaction.connection.execute(query).mappings().first()
