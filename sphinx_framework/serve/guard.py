"""What every request passes first: host, key, origin; and what every answer gets last."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders

from sphinx_framework.serve.keys import ANONYMOUS, ApiKeys
from sphinx_framework.serve.log import Log
from sphinx_framework.serve.metrics import Metrics
from sphinx_framework.serve.problems import Problem, dump
from sphinx_framework.serve.settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
OPEN_PATHS = ("/healthz", "/readyz", "/openapi.json", "/")
LINGER_SECONDS = 5.0
CORS_METHODS = "GET, HEAD, POST, DELETE"
CORS_HEADERS = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID"
CORS_EXPOSED = "Location, Retry-After, Idempotency-Replayed, ETag"

_HOST = re.compile(r"(\[[0-9a-f:.]*\]|[^:\[\]]*)(?::[0-9]{1,5})?", re.ASCII)


class Guard:
    """ASGI middleware around the application."""

    def __init__(
        self, app: Any, settings: Settings, keys: ApiKeys | None, metrics: Metrics, log: Log
    ) -> None:
        """Guard ``app``; without ``keys`` every caller is the same anonymous one."""
        self.app, self.settings, self.keys = app, settings, keys
        self.metrics, self.log = metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with the caller's name in ``scope["state"]["owner"]``."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        headers = Headers(scope=scope)
        began = time.perf_counter()
        inner = dict(scope)
        if scope["method"] == "HEAD" and not scope["path"].endswith("/events"):
            inner["method"] = "GET"  # the protocol leaves the body out
        try:
            exchange.extra = self._cors(headers)
            if scope["method"] == "OPTIONS" and exchange.extra and _is_preflight(headers):
                await _preflight(exchange)
                return
            try:
                inner["state"] = dict(scope.get("state") or {})
                inner["state"]["owner"] = self._admit(inner, headers)
            except Problem as problem:
                await answer(exchange.send, problem, scope["path"])
                return
            await self.app(inner, exchange.receive, exchange.send)
        finally:
            self._note(inner, scope["method"], exchange.status, time.perf_counter() - began)

    def _admit(self, scope: Scope, headers: Headers) -> str:
        """The caller's name; raises :class:`Problem`."""
        host = headers.get("host", "")
        if _bare(host) not in self.settings.host_names:
            raise Problem(
                "wrong-host",
                "This server does not answer to the request's Host.",
                hint="Start it with --allowed-host to add names.",
            )
        owner: str | None = ANONYMOUS
        if self.keys is not None:
            owner = self.keys.owner(headers.get("authorization"))
            path = scope["path"]
            is_open = path in OPEN_PATHS or path.startswith("/static/")
            if owner is None and not is_open:
                raise Problem(
                    "unauthorized",
                    "Send a valid API key.",
                    hint="As the header Authorization: Bearer KEY.",
                    headers={"WWW-Authenticate": 'Bearer realm="sphinx-nvs"'},
                )
        scope["state"]["known"] = owner is not None
        if scope["method"] in ("POST", "DELETE"):
            own = f"{scope['scheme']}://{host}".lower()
            for origin in headers.getlist("origin"):
                if origin.lower() != own and origin not in self.settings.cors:
                    detail = "Pages of this origin may not change anything."
                    raise Problem("forbidden-origin", detail)
        return owner or ANONYMOUS

    def _cors(self, headers: Headers) -> dict[str, str]:
        origin = headers.get("origin")
        if origin is None or origin not in self.settings.cors:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": CORS_EXPOSED,
            "Vary": "Origin",
        }

    def _note(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        route = self._route(scope)
        known = method if method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS") else "other"
        self.metrics.requests.labels(known, route, str(status)).inc()
        if not route.endswith("/events"):
            self.metrics.request_seconds.labels(route).observe(seconds)
        self.log.debug("request", method=known, route=route, status=status, seconds=seconds)

    def _route(self, scope: Scope) -> str:
        """The template of the route, never a path with identities."""
        route = scope.get("route")
        if route is None:
            plain = {"/", "/openapi.json"}
            return str(scope["path"]) if scope["path"] in plain else "none"
        return str(getattr(route, "path", "static"))


class _Exchange:
    """One request and its answer: adds headers, and reads on after an early refusal."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.extra: dict[str, str] = {}
        self.status = 0
        self.body_read = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self.body_read = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self.extra.items():
                headers[name] = value
            headers.setdefault("X-Content-Type-Options", "nosniff")
            if self.status in (408, 413):  # what is left of the body is not for us
                headers["Connection"] = "close"
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if last and self.status >= 400 and not self.body_read:
            # The client still writes; a close now would destroy the answer on its way.
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _linger(self) -> None:
        until = time.monotonic() + LINGER_SECONDS
        while not self.body_read and (left := until - time.monotonic()) > 0:
            try:
                await asyncio.wait_for(self.receive(), left)
            except TimeoutError:
                return


async def answer(send: Send, problem: Problem, path: str) -> None:
    """Send a problem as the path's API shows it."""
    document, media = problem.for_path(path)
    body = dump(document)
    headers = {
        "Content-Type": media,
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        **problem.headers,
    }
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _is_preflight(headers: Headers) -> bool:
    return "access-control-request-method" in headers


async def _preflight(exchange: _Exchange) -> None:
    exchange.extra |= {
        "Access-Control-Allow-Methods": CORS_METHODS,
        "Access-Control-Allow-Headers": CORS_HEADERS,
    }
    await exchange.send({"type": "http.response.start", "status": 204, "headers": []})
    await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})


def _bare(host: str) -> str:
    """A Host header without its port."""
    match = _HOST.fullmatch(host.strip().lower())
    return match[1] if match else host
