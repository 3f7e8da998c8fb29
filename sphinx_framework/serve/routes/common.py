"""What the routes share: the service, the caller, documented problems."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from pydantic import BeforeValidator

from sphinx_framework.serve.problems import Problem
from sphinx_framework.serve.service import Service
from sphinx_framework.serve.storage import STORAGE_ERRORS, storage_problem

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "hint": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


def service_of(request: Request) -> Service:
    """The running server's parts."""
    service: Service = request.app.state.service
    return service


def owner_of(request: Request) -> str:
    """The caller's name, as the guard found it."""
    return str(request.scope["state"]["owner"])


@contextmanager
def counted(here: Service) -> Iterator[None]:
    """Count what a client is refused, also where the server's storage is the reason."""
    try:
        yield
    except (Problem, *STORAGE_ERRORS) as error:
        problem = error if isinstance(error, Problem) else storage_problem(error)
        here.metrics.rejected.labels(problem.name).inc()
        raise problem from error.__cause__


def plain_digits(value: object) -> object:
    """Of a query's number: ``+5``, `` 5`` and ``1_0`` are no digits."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("must be written in digits")
    return value


Here = Annotated[Service, Depends(service_of)]
PageSize = Annotated[int, BeforeValidator(plain_digits), Query(ge=1, le=100)]
Owner = Annotated[str, Depends(owner_of)]


def documented(*statuses: int, ok: int = 200, media: str = "application/json") -> dict[Any, Any]:
    """The ``responses`` of a route: success and problem documents."""
    content = {"application/problem+json": {"schema": PROBLEM}}
    always = {400, 401, 403, 404, 405, 408, 421, 500}
    problems = {
        status: {"description": "a problem document", "content": content}
        for status in sorted({*statuses, *always})
    }
    success: dict[str, Any] = {"description": "success"}
    if ok != 204:
        success["content"] = {media: {}}
    return {ok: success, **problems}
