"""Server-sent events of a job, resumed wherever a connection breaks."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from sphinx_framework.client.connection import (
    OURS,
    PAUSE_SECONDS,
    Connection,
    Patience,
    RefusedError,
    UnreachableError,
)
from sphinx_framework.errors import JobError, shown


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its number within the job, its name, its fields."""

    number: int
    name: str
    data: dict[str, Any]


def follow(connection: Connection, job: str, after: int = 0) -> Iterator[Event]:
    """All events after a number, each once, until the job's last one."""
    patience = Patience(connection)
    while True:
        try:
            headers = {"Last-Event-ID": str(after)}
            path = f"/v1/jobs/{job}/events"
            with connection.stream(path, headers=headers) as answer:
                _refuse_other(answer)
                patience.heard()  # a proxy may cut long answers of a job that waits
                for event in parse(answer.iter_lines()):
                    after = event.number
                    patience.heard()
                    yield event
                    if event.name == "done":
                        return
        except (httpx.TransportError, httpx.DecodingError, UnreachableError) as error:
            patience.broken(error)
        except RefusedError as error:
            if error.status != 429:
                raise
        time.sleep(PAUSE_SECONDS)


def _refuse_other(answer: httpx.Response) -> None:
    """A page of something else would be read to its end, and asked for again, for ever."""
    media = answer.headers.get("content-type", "")
    if not media.startswith("text/event-stream"):
        raise JobError(
            f"{shown(answer.url.host)} answered with {shown(media) or 'nothing'}, not with events.",
            hint=OURS,
        )


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
