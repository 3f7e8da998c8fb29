"""The web page and its assets; everything it shows comes from the same API as any client's."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from sphinx_framework.serve.problems import Problem
from sphinx_framework.serve.routes.common import documented

router = APIRouter(tags=["page"])
FOLDER = Path(__file__).parent / "static"
ASSETS = {path.name: path for path in sorted(FOLDER.iterdir()) if path.is_file()}
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@router.get("/", responses=documented(media="text/html"))
async def page() -> FileResponse:
    """The page."""
    return _asset("index.html")


@router.get("/static/{name}", responses=documented(media="*/*"))
async def asset(name: str) -> FileResponse:
    """A script or style of the page, by its exact name."""
    return _asset(name)


def _asset(name: str) -> FileResponse:
    path = ASSETS.get(name)
    if path is None:
        raise Problem("not-found", "The page has no such part.")
    return FileResponse(path, headers=HEADERS, media_type=TYPES.get(path.suffix))
