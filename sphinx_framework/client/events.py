"""Server-sent events of a job, resumed wherever a connection breaks."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from sphinx_framework.client.connection import (
    RETRY_SECONDS,
    Connection,
    RefusedError,
    UnreachableError,
)

PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its number within the job, its name, its fields."""

    number: int
    name: str
    data: dict[str, Any]


def follow(connection: Connection, job: str, after: int = 0) -> Iterator[Event]:
    """All events after a number, each once, until the job's last one."""
    broken_since: float | None = None
    while True:
        try:
            headers = {"Last-Event-ID": str(after)}
            path = f"/v1/jobs/{job}/events"
            with connection.stream(path, headers=headers) as answer:
                for event in parse(answer.iter_lines()):
                    after, broken_since = event.number, None
                    yield event
                    if event.name == "done":
                        return
        except (httpx.TransportError, UnreachableError) as error:
            broken_since = broken_since or time.monotonic()
            if time.monotonic() - broken_since > RETRY_SECONDS:
                raise UnreachableError(f"{connection.url} cannot be reached any more.") from error
        except RefusedError as error:
            if error.status != 429:
                raise
        time.sleep(PAUSE_SECONDS)


def parse(lines: Iterator[str]) -> Iterator[Event]:
    """Events of a stream's lines; comments and incomplete blocks are left out."""
    block: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(":")
            block[name] = value.removeprefix(" ")
        elif {"id", "event", "data"} <= block.keys():
            yield Event(int(block["id"]), block["event"], json.loads(block["data"]))
            block = {}
        else:
            block = {}
