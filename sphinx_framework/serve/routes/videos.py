"""``/v1/videos``: the shape of OpenAI's video API over the same jobs."""

import json
import math
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from sphinx_framework.output.saving import DEFAULT_FPS
from sphinx_framework.serve import store
from sphinx_framework.serve.acceptance import Caller
from sphinx_framework.serve.body import Part, media_type, read_form
from sphinx_framework.serve.problems import Problem
from sphinx_framework.serve.requests import LARGEST_REQUEST, parse_json
from sphinx_framework.serve.routes.common import Here, Owner, PageSize, counted, documented
from sphinx_framework.serve.routes.jobs import FORM, idempotency_key
from sphinx_framework.serve.routes.results import file_response
from sphinx_framework.serve.service import Service
from sphinx_framework.serve.store import Row

router = APIRouter(prefix="/v1/videos", tags=["videos"])
STATUS = {
    "queued": "queued",
    "running": "in_progress",
    "succeeded": "completed",
    "failed": "failed",
    "canceled": "failed",
}
TEXTS = ("model", "prompt", "size", "seed", "seconds")
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["input_reference"],
                    "properties": {
                        "input_reference": FORM["properties"]["scene"],  # type: ignore[index]
                        **{name: {"type": "string"} for name in (*TEXTS, "request")},
                    },
                }
            }
        },
    }
}


FACADE_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "object", "required": ["message", "type", "code"]}},
}


def _documented(*statuses: int, media: str = "application/json") -> dict[Any, Any]:
    """As elsewhere, and errors in the facade's own shape beside problem documents."""
    answers = documented(*statuses, media=media)
    for status, answer in answers.items():
        if status >= 400:
            schema = {"application/json": {"schema": FACADE_ERROR}}
            answer["content"] = {**answer["content"], **schema}
    return answers


@router.post("", openapi_extra=BODY, responses=_documented(413, 415, 422, 429, 503, 507))
async def create(request: Request, here: Here, owner: Owner) -> JSONResponse:
    """Make a video of a scene's archive."""
    with counted(here):
        row = await _accept(request, here, owner)
    return JSONResponse(video(here, row))


@router.get("", responses=_documented())
async def videos(
    here: Here,
    owner: Owner,
    limit: PageSize = 20,
    after: Annotated[str | None, Query(max_length=100)] = None,
    order: Literal["asc", "desc"] = "desc",
) -> JSONResponse:
    """Own videos."""
    found = await here.database.run(
        lambda t: store.page(
            t, owner, status=None, limit=limit, after=after, newest_first=order == "desc"
        )
    )
    if found is None:
        raise Problem("not-found", "The video of 'after' does not exist.")
    rows, more = found
    data = [video(here, row) for row in rows]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    shown = {"object": "list", "data": data, "has_more": more}
    return JSONResponse({**shown, "first_id": None, "last_id": None, **ends})


@router.get("/{id}", responses=_documented())
async def retrieve(id: str, here: Here, owner: Owner) -> JSONResponse:
    """One video."""
    return JSONResponse(video(here, await here.job(owner, id)))


@router.get("/{id}/content", responses=_documented(304, 409, 416, media="video/mp4"))
async def content(id: str, request: Request, here: Here, owner: Owner) -> Response:
    """The video file of a completed one."""
    row = await here.job(owner, id)
    if row["status"] != "succeeded":
        name = "job-unsuccessful" if row["status"] in store.FINAL else "job-not-finished"
        raise Problem(name, f"The video is {STATUS[row['status']]}.")
    entry = await here.database.run(store.file_of, id, "video.mp4")
    if entry is None:
        raise Problem("not-found", "The job made no video.")
    return file_response(here.data.job(id) / "files" / "video.mp4", entry, request)


@router.delete("/{id}", responses=_documented(409))
async def delete(id: str, here: Here, owner: Owner) -> JSONResponse:
    """Delete a video; one that still runs is cancelled first."""
    row = await here.dispatcher.cancel(owner, id)
    if row is None:
        raise Problem("not-found", "There is no such video.")
    if row["status"] == "running":
        await here.dispatcher.until_over(id)
    await here.delete(owner, id)
    return JSONResponse({"id": id, "object": "video.deleted", "deleted": True})


async def _accept(request: Request, here: Service, owner: str) -> Row:
    if media_type(request) != "multipart/form-data":
        raise Problem("unsupported-media-type", "A video is asked for as multipart/form-data.")
    caller = Caller(owner, idempotency_key(request))
    with here.acceptance.workplace() as place:
        parts = await read_form(request, here.settings, place)
        row, _ = await here.acceptance.accept_form(_as_job(here, parts), caller, place)
    return row


def video(here: Service, row: Row) -> dict[str, Any]:
    """A job as a video."""
    error = None
    if row["status"] in ("failed", "canceled"):
        told = row["error"] or {"type": "canceled", "detail": "The job was canceled."}
        error = {"code": told["type"].rsplit(":", 1)[-1], "message": told["detail"]}
    scene = row["scene"]
    finished = row["finished"]
    return {
        "id": row["id"],
        "object": "video",
        "model": row["model"],
        "status": STATUS[row["status"]],
        "progress": _progress(row),
        "created_at": int(row["created"]),
        "completed_at": int(finished) if row["status"] == "succeeded" else None,
        "expires_at": None if finished is None else _expires(finished, here.settings.keep_hours),
        "size": f"{scene['width']}x{scene['height']}",
        "seconds": f"{max(1, round(scene['targets'] / DEFAULT_FPS))}",
        "error": error,
    }


def _expires(finished: float, keep_hours: float) -> int | None:
    """Never, where videos are kept for good."""
    moment = finished + keep_hours * 3600
    return int(moment) if math.isfinite(moment) else None


def _progress(row: Row) -> int:
    """In percent: the stages in their order, most of it denoising; 100 when completed only."""
    if row["status"] == "succeeded":
        return 100
    starts = {"load": 1, "regression": 2, "plan": 8, "waiting": 10, "encode": 10}
    starts |= {"denoise": 15, "decode": 90, "write": 95}
    start = starts.get(row["stage"], 0)
    if row["stage"] == "denoise" and row["total"]:
        return start + int(75 * row["step"] / row["total"])
    return start


def _as_job(here: Service, parts: list[Part]) -> list[Part]:
    """The parts of a job's form that mean the same."""
    by_name: dict[str, Part] = {}
    for part in parts:
        if part.name in by_name:
            raise Problem("malformed-request", f"The form has more than one {part.name!r}.")
        by_name[part.name] = part
    unknown = sorted(by_name.keys() - {"input_reference", "request", *TEXTS})
    if unknown:
        raise Problem("malformed-request", f"The form has an unknown part {unknown[0]!r}.")
    if "input_reference" not in by_name:
        raise Problem("malformed-request", "The form has no input_reference: a scene's archive.")
    texts = {
        name: by_name[name].read(LARGEST_REQUEST).decode("utf-8", "replace").strip()
        for name in TEXTS
        if name in by_name
    }
    _check(here, texts)
    scene = by_name["input_reference"]
    scene.name = "scene"
    made = [scene]
    if "request" in by_name or texts.get("seed"):
        made.append(_with_seed(by_name.get("request"), texts.get("seed"), scene))
    return made


def _with_seed(request: Part | None, seed: str | None, scene: Part) -> Part:
    values = {} if request is None else parse_json(request.read(LARGEST_REQUEST))
    if seed and isinstance(values, dict):
        if not (seed.isascii() and seed.isdigit() and len(seed) <= 10):
            pointer = {"pointer": "/seed", "detail": "must be a whole number"}
            raise Problem("request-invalid", "seed: must be a whole number.", errors=[pointer])
        values.setdefault("seed", int(seed))
    path = scene.path.with_name("request.json")
    path.write_text(json.dumps(values))
    return Part("request", None, "application/json", path)


def _check(here: Service, texts: dict[str, str]) -> None:
    if texts.get("model", here.config.name) not in ("", here.config.name):
        raise Problem("request-invalid", f"The model served here is {here.config.name!r}.")
    size = here.config.size
    if size is not None and texts.get("size") not in (None, "", f"{size[1]}x{size[0]}"):
        raise Problem("request-invalid", f"This pipeline's size is {size[1]}x{size[0]}.")
