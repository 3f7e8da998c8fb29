"""Clients that send byte after byte: their connection ends, whatever was answered."""

import asyncio
import contextlib
import socket

import pytest
import uvicorn

from sphinx_framework.serve import http

HEAD = b"POST / HTTP/1.1\r\nHost: here\r\n"
PATIENCE = 120.0


async def ignores(scope, receive, send):
    """Answers at once, and never looks at the body."""
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})


async def reads(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await ignores(scope, receive, send)


@contextlib.asynccontextmanager
async def connected(app, seconds):
    """A connection to a server of these limits, and its end in the server."""
    ends = []

    class Seen(http.limited_protocol(seconds, seconds)):
        def connection_made(self, transport):
            ends.append(self)
            super().connection_made(transport)

    config = uvicorn.Config(app, http=Seen, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    yield reader, writer, ends
    writer.close()
    server.should_exit = True
    await serving


async def is_cut(app, first, again):
    """Send ``first``, then ``again`` and again, until the server cuts the connection."""
    async with connected(app, 0.4) as (reader, writer, _):
        writer.write(first)
        told = asyncio.create_task(reader.read())
        async with asyncio.timeout(PATIENCE):
            while not told.done():
                writer.write(again)
                await asyncio.sleep(0.05)
        await asyncio.gather(told, return_exceptions=True)


@pytest.mark.parametrize("app", [ignores, reads])
@pytest.mark.parametrize(
    ("first", "again"),
    [
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"x"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (HEAD, b"X: y\r\n"),
        (b"", b""),
    ],
    ids=["body", "chunks", "headers", "silence"],
)
def test_a_client_that_never_ends_is_cut(monkeypatch, app, first, again):
    monkeypatch.setattr(http, "GRACE_SECONDS", 0.2)
    asyncio.run(is_cut(app, first, again))


def test_a_body_in_time_may_be_followed_by_another():
    """No clock runs on between requests, whatever the limits are."""

    async def three_requests():
        async with connected(reads, PATIENCE) as (reader, writer, ends):
            for _ in range(3):
                writer.write(HEAD + b"Content-Length: 2\r\n\r\no")
                while not (ends and ends[0]._body_timer):
                    await asyncio.sleep(0.01)
                writer.write(b"k")
                async with asyncio.timeout(PATIENCE):
                    assert b"404" in await reader.readuntil(b"\r\n\r\n")
                    await reader.readuntil(b"0\r\n\r\n")
                assert (ends[0]._timer, ends[0]._body_timer) == (None, None)

    asyncio.run(three_requests())
