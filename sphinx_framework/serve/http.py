"""HTTP/1.1 with limits on slow clients, on top of uvicorn's h11 protocol."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from sphinx_framework.serve.problems import Problem, dump

GRACE_SECONDS = 6.0  # for the application's own answer to a slow body, and for reading it


def limited_protocol(header_seconds: float, body_seconds: float) -> type[H11Protocol]:
    """A protocol class that cuts connections whose headers, or whose body, take longer."""
    limits = {"header_seconds": header_seconds, "body_seconds": body_seconds}
    return type("Limited", (_Limited,), limits)


class _Limited(H11Protocol):
    """Times headers and bodies, and answers what is no HTTP with a problem document.

    A body is timed whatever becomes of the request: one that was answered already, or that nobody
    reads, would else keep its connection for as long as a byte comes now and then.
    """

    header_seconds = 10.0
    body_seconds = 60.0
    _timer: asyncio.TimerHandle | None = None
    _body_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        if self._timer is None and self._between_requests():
            self._start_timer()
        super().data_received(data)
        if not self._between_requests():
            self._stop_timer()
        self._time_body()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_body_timer()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._between_requests() and self.conn.trailing_data[0]:
            self._start_timer()
        self._time_body()

    def send_400_response(self, msg: str) -> None:
        """A problem document instead of plain text."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        body = dump(Problem("malformed-request", "This is not valid HTTP/1.1.").document())
        headers = [
            ("content-type", "application/problem+json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        events = (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        try:
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
        finally:
            self.transport.close()

    def _between_requests(self) -> bool:
        return self.conn.their_state in (h11.IDLE, h11.ERROR)

    def _time_body(self) -> None:
        if self.conn.their_state is not h11.SEND_BODY:
            self._stop_body_timer()
        elif self._body_timer is None:
            limit = self.body_seconds + GRACE_SECONDS
            self._body_timer = self.loop.call_later(limit, self._body_too_slow)

    def _stop_body_timer(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _body_too_slow(self) -> None:
        self._body_timer = None
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self.transport.close()

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self.header_seconds, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._between_requests() and not self.transport.is_closing():
            self.transport.close()
