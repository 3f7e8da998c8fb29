"""Messages between the server and a worker: one JSON object a line over a socket pair."""

import json
import select
import socket
from typing import Any


class GoneError(Exception):
    """The server has closed its end, or is not there any more."""


class Line:
    """A worker's end: blocking sends, and receives with or without waiting."""

    def __init__(self, connection: socket.socket) -> None:
        """Take the socket that the server passed."""
        self._socket = connection
        self._buffer = b""

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; raises :class:`GoneError` when the server is gone."""
        try:
            self._socket.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            raise GoneError from error

    def receive(self) -> dict[str, Any]:
        """Wait for a message; raises :class:`GoneError` when the server is gone."""
        while b"\n" not in self._buffer:
            self._fill()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return dict(json.loads(line))

    def waiting(self) -> bool:
        """Whether a message, or the end, is there without waiting."""
        return b"\n" in self._buffer or bool(select.select([self._socket], [], [], 0)[0])

    def _fill(self) -> None:
        try:
            chunk = self._socket.recv(1 << 16)
        except OSError as error:
            raise GoneError from error
        if not chunk:
            raise GoneError
        self._buffer += chunk
