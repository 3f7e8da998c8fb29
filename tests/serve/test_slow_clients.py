"""Clients that send byte after byte: their connection ends, whatever was answered."""

import asyncio
import contextlib
import socket
import time

import pytest
import uvicorn

from sphinx_framework.serve import http

HEAD = b"POST / HTTP/1.1\r\nHost: here\r\n"


async def ignores(scope, receive, send):
    """Answers at once, and never looks at the body."""
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})


async def reads(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await ignores(scope, receive, send)


async def talked(app, first, again, *, most=5.0):
    """Send ``first``, then ``again`` and again; seconds until the server cuts the connection."""
    protocol = http.limited_protocol(0.4, 0.4)
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(first)
    began = time.monotonic()
    told = asyncio.create_task(reader.read())
    while not told.done() and time.monotonic() - began < most:
        writer.write(again)
        await asyncio.sleep(0.05)
    seconds = time.monotonic() - began
    writer.close()
    server.should_exit = True
    await serving
    await asyncio.gather(told, return_exceptions=True)
    return seconds


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
    assert asyncio.run(talked(app, first, again)) < 4


def test_a_body_in_time_may_be_followed_by_another(monkeypatch):
    monkeypatch.setattr(http, "GRACE_SECONDS", 0.2)
    request = HEAD + b"Content-Length: 2\r\n\r\nok"
    assert asyncio.run(talked(reads, request, request, most=1.5)) >= 1.5
