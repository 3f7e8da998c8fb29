"""The ASGI application: routes, and one shape for every error."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from sphinx_framework.serve import page
from sphinx_framework.serve.log import Log
from sphinx_framework.serve.problems import Problem
from sphinx_framework.serve.routes import jobs, results, scenes, system, videos
from sphinx_framework.serve.service import Service
from sphinx_framework.serve.storage import STORAGE_ERRORS, storage_problem
from sphinx_framework.version import __version__


def build_app(service: Service, log: Log) -> FastAPI:
    """All routes on a service's parts."""
    app = FastAPI(
        title="sphinx-nvs",
        summary="Novel view synthesis to a quality target, as jobs that tell their progress.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    app.state.flat_routes = list(app.routes)
    parts = [jobs.router, results.router, scenes.router, videos.router, system.router]
    for router in [*parts, *([page.router] if service.settings.page else [])]:
        app.include_router(router)
        app.state.flat_routes += router.routes
    _handle_errors(app, log)
    return app


def _handle_errors(app: FastAPI, log: Log) -> None:
    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> JSONResponse:
        return respond(problem, request)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        name = str(first["loc"][-1])
        return respond(Problem("malformed-request", f"{name}: {first['msg']}."), request)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 405:
            allowed = ", ".join(allowed_methods(app, request))
            problem = Problem(
                "method-not-allowed", f"Allowed here: {allowed}.", headers={"Allow": allowed}
            )
            return respond(problem, request)
        if error.status_code == 404:
            return respond(Problem("not-found", "There is nothing at this path."), request)
        problem = Problem("malformed-request", str(error.detail), status=error.status_code)
        return respond(problem, request)

    async def on_storage(request: Request, error: Exception) -> JSONResponse:
        log.error("storage failed", reason=type(error).__name__)
        return respond(storage_problem(error), request)

    for kind in STORAGE_ERRORS:
        app.exception_handler(kind)(on_storage)

    @app.exception_handler(Exception)
    async def on_bug(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", reason=type(error).__name__)
        return respond(Problem("internal", "The request could not be answered."), request)


def respond(problem: Problem, request: Request) -> JSONResponse:
    """A problem as an answer."""
    headers = {"Cache-Control": "no-store", **problem.headers}
    document, media = problem.for_path(request.url.path)
    return JSONResponse(document, problem.status, headers, media)


def allowed_methods(app: FastAPI, request: Request) -> list[str]:
    """Every method that some route offers at a path."""
    found: set[str] = set()
    scope: dict[str, Any] = dict(request.scope)
    for route in app.state.flat_routes:
        if route.matches(scope)[0] is not Match.NONE:
            found |= set(getattr(route, "methods", None) or ())
    if "GET" in found and not scope["path"].endswith("/events"):
        found.add("HEAD")
    return sorted(found)
