"""``/v1/jobs``: accept, list, look at, follow, cancel, delete."""

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from sphinx_framework.serve import store
from sphinx_framework.serve.acceptance import Caller
from sphinx_framework.serve.body import media_type, read_body, read_form
from sphinx_framework.serve.problems import Problem
from sphinx_framework.serve.requests import LARGEST_REQUEST, JobRequest
from sphinx_framework.serve.routes.common import Here, Owner, PageSize, counted, documented
from sphinx_framework.serve.service import Service
from sphinx_framework.serve.store import Row
from sphinx_framework.serve.stream import EventStream

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
KEY = re.compile(rb"[!-~]{1,200}")
COUNT = re.compile(r"[0-9]{1,10}", re.ASCII)
LARGEST_ID = 2**31 - 1
Status = Literal["queued", "running", "succeeded", "failed", "canceled"]
_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
FORM = {
    "type": "object",
    "properties": {
        "scene": {**_FILE, "description": "a zip or tar of a scene folder"},
        "photos": {"type": "array", "items": _FILE},
        "cameras": {**_FILE, "description": "cameras.json of the photos"},
        "request": {"type": "string", "contentMediaType": "application/json"},
    },
}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": JobRequest.model_json_schema()},
            "multipart/form-data": {"schema": FORM},
        },
    },
    "parameters": [
        {"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string"}}
    ],
}


@router.post(
    "",
    status_code=202,
    openapi_extra=BODY,
    responses={
        **documented(413, 415, 422, 429, 503, 507, ok=202),
        200: {"description": "replayed", "content": {"application/json": {}}},
    },
)
async def accept(request: Request, here: Here, owner: Owner) -> Response:
    """Accept a job: a scene by name (JSON), or an upload (form)."""
    with counted(here):
        caller = Caller(owner, idempotency_key(request))
        row, replayed = await accept_body(request, here, caller)
    headers = {"Location": f"/v1/jobs/{row['id']}"}
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    return JSONResponse(here.view(row), 200 if replayed else 202, headers)


async def accept_body(request: Request, here: Service, caller: Caller) -> tuple[Row, bool]:
    """Accept by the body's content type."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem("unsupported-media-type", "Bodies with a content encoding are not taken.")
    kind = media_type(request)
    if kind == "application/json":
        limit = min(LARGEST_REQUEST, here.settings.max_upload_bytes)
        body = await read_body(request, here.settings, limit)
        return await here.acceptance.accept_json(body, caller)
    if kind == "multipart/form-data":
        with here.acceptance.workplace() as place:
            parts = await read_form(request, here.settings, place)
            return await here.acceptance.accept_form(parts, caller, place)
    raise Problem(
        "unsupported-media-type",
        "A job is application/json or multipart/form-data.",
    )


def idempotency_key(request: Request) -> str | None:
    """The checked ``Idempotency-Key``."""
    values = [value for name, value in request.headers.raw if name == b"idempotency-key"]
    if not values:
        return None
    if len(values) > 1 or not KEY.fullmatch(values[0]):
        raise Problem(
            "malformed-request", "An Idempotency-Key has 1 to 200 visible ASCII characters."
        )
    return values[0].decode("ascii")


@router.get("", responses=documented())
async def jobs(
    here: Here,
    owner: Owner,
    status: Status | None = None,
    limit: PageSize = 20,
    after: Annotated[str | None, Query(max_length=100)] = None,
) -> JSONResponse:
    """Own jobs, newest first."""
    found = await here.database.run(
        lambda t: store.page(t, owner, status=status, limit=limit, after=after)
    )
    if found is None:
        raise Problem("not-found", "The job of 'after' does not exist.")
    rows, more = found
    data = [here.view(row) for row in rows]
    return JSONResponse({"object": "list", "data": data, "has_more": more})


@router.get("/{id}", responses=documented())
async def job(id: str, here: Here, owner: Owner) -> JSONResponse:
    """One job."""
    return JSONResponse(here.view(await here.job(owner, id)), headers={"Cache-Control": "no-store"})


@router.get("/{id}/events", responses=documented(429, media="text/event-stream"))
async def events(
    id: str,
    request: Request,
    here: Here,
    owner: Owner,
    after: str | None = None,
) -> Any:
    """All events from the first, or after ``Last-Event-ID``; live until the job's end."""
    given = request.headers.getlist("last-event-id")
    position, number = given[0] if given else after, 0
    if position is not None:
        whole = len(given) < 2 and COUNT.fullmatch(position)
        number = int(position) if whole else LARGEST_ID + 1
        if number > LARGEST_ID:
            raise Problem("malformed-request", "Last-Event-ID is not a whole number.")
    await here.job(owner, id)
    if here.hub.streams >= here.settings.max_streams:
        raise Problem(
            "too-many-streams",
            f"{here.settings.max_streams} event streams are open.",
            headers={"Retry-After": "5"},
        )
    return EventStream(here.database, here.hub, id, number, here.settings.heartbeat_seconds)


@router.post(
    "/{id}/cancel",
    responses={
        **documented(409),
        202: {"description": "asked to stop", "content": {"application/json": {}}},
    },
)
async def cancel(id: str, here: Here, owner: Owner) -> JSONResponse:
    """Cancel: at once in the queue, at the next step when running."""
    row = await here.dispatcher.cancel(owner, id)
    if row is None:
        raise Problem("not-found", "There is no such job.")
    if row["status"] in ("succeeded", "failed"):
        raise Problem("job-finished", f"The job has {row['status']}.")
    return JSONResponse(here.view(row), 202 if row["status"] == "running" else 200)


@router.delete("/{id}", status_code=204, responses=documented(409, ok=204))
async def delete(id: str, here: Here, owner: Owner) -> Response:
    """Forget a finished job and its files."""
    await here.delete(owner, id)
    return Response(status_code=204)
