"""A job's events as ``text/event-stream``: from the database first, then as they are committed."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from sphinx_framework.serve import journal, store
from sphinx_framework.serve.database import Database, DoubtError, Transaction
from sphinx_framework.serve.hub import Hub

FULL_BUFFER_SECONDS = 60.0
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class EventStream(Response):
    """An ASGI response. It never holds up the job, and a client that does not read is dropped."""

    def __init__(
        self, database: Database, hub: Hub, job: str, after: int, heartbeat: float
    ) -> None:
        """Stream the events of ``job`` with ids above ``after``."""
        self.background = None
        self.raw_headers = HEADERS
        self.database, self.hub = database, hub
        self.job, self.after, self.heartbeat = job, after, heartbeat

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Send until the job's last event, the client's leaving, or the server's stop."""
        self.hub.streams += 1
        changed = self.hub.watch(self.job)
        gone = asyncio.create_task(_disconnected(receive))
        telling = asyncio.create_task(self._tell(send, changed))
        try:
            await asyncio.wait({gone, telling}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()
        finally:
            self.hub.streams -= 1
            self.hub.leave(self.job, changed)
            for task in (gone, telling):
                task.cancel()
            with suppress(asyncio.CancelledError):
                await gone

    async def _tell(self, send: Send, changed: asyncio.Event) -> None:
        await _send(send, {"type": "http.response.start", "status": 200, "headers": HEADERS})
        await _body(send, b"retry: 2000\n\n")
        ended = await self._stored(send)
        while not ended and not self.hub.closing:
            changed.clear()
            blocks = self.hub.next(self.job, self.after)
            if blocks:
                ended = await self._forward(send, blocks)
                continue
            try:
                await asyncio.wait_for(changed.wait(), self.heartbeat)
            except TimeoutError:
                await _body(send, b": ping\n\n")
            if not self.hub.next(self.job, self.after):
                with suppress(DBAPIError, DoubtError):  # the next heartbeat asks again
                    ended = await self._stored(send)
        await _send(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _stored(self, send: Send) -> bool:
        """Send what is stored; whether there will be no more, also for who is beyond the end."""
        blocks, ended = await self.database.run(_told, self.job, self.after)
        return await self._forward(send, blocks) or ended

    async def _forward(self, send: Send, blocks: list[bytes]) -> bool:
        """Send blocks; whether the last one was the job's end."""
        if not blocks:
            return False
        await _body(send, b"".join(blocks))
        self.after = _number(blocks[-1])
        return blocks[-1].split(b"\n", 2)[1] == b"event: done"


def _number(block: bytes) -> int:
    return int(block.split(b"\n", 1)[0].removeprefix(b"id: "))


def _told(transaction: Transaction, job: str, after: int) -> tuple[list[bytes], bool]:
    """Blocks above ``after``; whether the job has told its last, or is not there any more."""
    row = store.peek(transaction, job)
    return journal.read(transaction, job, after), row is None or row["status"] in store.FINAL


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(send: Send, data: bytes) -> None:
    await _send(send, {"type": "http.response.body", "body": data, "more_body": True})


async def _send(send: Send, message: Message) -> None:
    """Raises ``TimeoutError``, which cuts the connection, when the client reads nothing."""
    await asyncio.wait_for(send(message), FULL_BUFFER_SECONDS)
