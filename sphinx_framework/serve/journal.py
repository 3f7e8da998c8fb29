"""Storing events: ids without gaps, bytes that never change, committed with what they tell."""

import time
from typing import Any

from sqlalchemy import insert, select, update

from sphinx_framework.serve.clock import rfc3339
from sphinx_framework.serve.database import Transaction
from sphinx_framework.serve.problems import dump
from sphinx_framework.serve.tables import events, jobs


def append(transaction: Transaction, job: str, attempt: int, event: str, **fields: Any) -> None:
    """Store the next event of a job; readers are told after the commit."""
    connection = transaction.connection
    connection.execute(
        update(jobs).where(jobs.c.id == job).values(last_event=jobs.c.last_event + 1)
    )
    seq = connection.execute(select(jobs.c.last_event).where(jobs.c.id == job)).scalar_one()
    head = {"job": job, "time": rfc3339(time.time()), "attempt": attempt}
    data = dump({**head, **fields}).decode()
    connection.execute(insert(events).values(job=job, seq=seq, event=event, data=data))
    transaction.published.append((job, seq, block(seq, event, data)))


def block(seq: int, event: str, data: str) -> bytes:
    """The bytes of one server-sent event."""
    return f"id: {seq}\nevent: {event}\ndata: {data}\n\n".encode()


def read(transaction: Transaction, job: str, after: int) -> list[bytes]:
    """Blocks of a job's events with ids above ``after``."""
    rows = transaction.connection.execute(
        select(events.c.seq, events.c.event, events.c.data)
        .where(events.c.job == job, events.c.seq > after)
        .order_by(events.c.seq)
    )
    return [block(*row) for row in rows]
