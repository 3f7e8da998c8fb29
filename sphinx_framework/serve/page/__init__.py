"""The web page and its assets; everything it shows comes from the same API as any client's.

Assets lie below ``/static/DIGEST/``, where ``DIGEST`` is of all of them together: a browser may
keep them forever, and never mixes the scripts of two releases. The page itself is asked for every
time and answered with 304 when nothing has changed.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from sphinx_framework.serve.problems import Problem
from sphinx_framework.serve.routes.common import documented

router = APIRouter(tags=["page"])
FOLDER = Path(__file__).parent / "static"
PAGE = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A part of the page, read once."""

    content: bytes
    media_type: str
    tag: str

    def answer(self, request: Request, caching: str) -> Response:
        """The asset, or 304 where the browser has it."""
        headers = {**HEADERS, "ETag": self.tag, "Cache-Control": caching}
        given = [part.strip() for part in request.headers.get("if-none-match", "").split(",")]
        if self.tag in (part.removeprefix("W/") for part in given) or given == ["*"]:
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=headers, media_type=self.media_type)


def _asset(content: bytes, suffix: str) -> Asset:
    return Asset(content, TYPES[suffix], f'"{hashlib.sha256(content).hexdigest()}"')


def _read() -> tuple[str, dict[str, Asset]]:
    """The digest of all assets, and the assets by name; the page names that digest."""
    contents = {
        path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES
    }
    total = hashlib.sha256()
    for name, content in contents.items():
        total.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    digest = total.hexdigest()[:16]
    contents[PAGE] = contents[PAGE].replace(b"/static/", f"/static/{digest}/".encode())
    return digest, {name: _asset(data, Path(name).suffix) for name, data in contents.items()}


DIGEST, ASSETS = _read()


@router.get("/", responses=documented(304, media="text/html"))
async def page(request: Request) -> Response:
    """The page."""
    return ASSETS[PAGE].answer(request, "no-cache")


@router.get("/static/{digest}/{name}", responses=documented(304, media="*/*"))
async def asset(digest: str, name: str, request: Request) -> Response:
    """A script or style of this release's page, by its exact name."""
    found = ASSETS.get(name) if digest == DIGEST and name != PAGE else None
    if found is None:
        raise Problem("not-found", "The page has no such part.")
    return found.answer(request, FOREVER)
