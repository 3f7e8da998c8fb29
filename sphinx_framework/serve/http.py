"""HTTP/1.1 with limits on slow clients, on top of uvicorn's h11 protocol."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from sphinx_framework.serve.problems import Problem, dump


def limited_protocol(seconds: float) -> type[H11Protocol]:
    """A protocol class that cuts connections whose headers take longer."""
    return type("Limited", (_Limited,), {"header_seconds": seconds})


class _Limited(H11Protocol):
    """Times the headers, and answers what is no HTTP with a problem document."""

    header_seconds = 10.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        if self._timer is None and self._between_requests():
            self._start_timer()
        super().data_received(data)
        if not self._between_requests():
            self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._between_requests() and self.conn.trailing_data[0]:
            self._start_timer()

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
