"""The viewer serves its own pages and nothing else, to whoever asks for this machine.

viser 0.2 answers a path with whatever file lies there, ``..`` and all, and takes any ``Host``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Answer = Callable[[Any, Any], Any]


@contextmanager
def contained(host: str) -> Iterator[None]:
    """Within it a viser server starts whose every request is looked at first.

    host: the interface that it listens on; on this machine's own, no other name is answered, so
    that no web page elsewhere can reach it under a name of its own.
    """
    import viser
    import websockets.asyncio.server as sockets

    pages = Path(viser.__file__).parent / "client" / "build"
    names = LOOPBACK if host in LOOPBACK else None
    serve = sockets.serve

    def guarded(*args: Any, process_request: Answer | None = None, **named: Any) -> Any:
        inner = process_request or (lambda connection, request: None)

        def answer(connection: Any, request: Any) -> Any:
            refusal = refused(request.path, request.headers, pages, names)
            if refusal is not None:
                return connection.respond(refusal, f"{refusal.phrase}\n")
            return inner(connection, request)

        return serve(*args, process_request=answer, **named)

    sockets.serve = guarded
    try:
        yield
    finally:
        sockets.serve = serve


def refused(
    path: str, headers: Any, pages: Path, names: frozenset[str] | None
) -> HTTPStatus | None:
    """Why a request is not answered; ``None`` where it is.

    names: the hosts that may be asked for; ``None`` are all.
    """
    asked = urlsplit(f"//{headers.get('Host', '')}")
    if names is not None and asked.hostname not in names:
        return HTTPStatus.FORBIDDEN
    origin = headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != asked.netloc:
        return HTTPStatus.FORBIDDEN  # a page of somewhere else
    if headers.get("Upgrade", "").lower() == "websocket":
        return None
    name = path.partition("?")[0]
    if name == "/":
        return None
    place = (pages / name.removeprefix("/")).resolve()
    inside = name.startswith("/") and place.is_relative_to(pages.resolve())
    return None if inside and place.is_file() else HTTPStatus.NOT_FOUND
