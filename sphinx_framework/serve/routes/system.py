"""What is served, and how the server is."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sphinx_framework.policy.schedule import MODES
from sphinx_framework.serve.problems import Problem, retry_after
from sphinx_framework.serve.routes.common import Here, documented
from sphinx_framework.serve.service import Service
from sphinx_framework.serve.unposed import estimates

router = APIRouter(tags=["system"])


@router.get("/v1/models", responses=documented())
async def models(here: Here) -> JSONResponse:
    """The served pipeline and its limits."""
    settings, config = here.settings, here.config
    model = {
        "id": config.name,
        "object": "model",
        "modes": list(MODES),
        "quality": config.quality,
        "mode": config.mode,
        "num_steps": config.num_steps,
        "size": None if config.size is None else list(config.size),
        "threads": settings.threads,
        "batch": settings.batch,
        "unposed": estimates(config),
        "licences": list(here.licences),
        "limits": {
            "max_upload_bytes": settings.max_upload_bytes,
            "max_unpacked_bytes": settings.max_unpacked_bytes,
            "max_photos": settings.max_photos,
            "max_pixels": settings.max_pixels,
            "max_targets": min(settings.max_targets, config.max_targets),
            "max_queue": settings.max_queue,
        },
    }
    return JSONResponse({"object": "list", "data": [model]})


@router.get("/healthz", responses=documented())
async def healthy() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    responses={
        **documented(),
        503: {"description": "not ready", "content": {"application/problem+json": {}}},
    },
)
async def ready(request: Request, here: Here) -> JSONResponse:
    """Whether jobs are accepted; one line a worker."""
    status = "stopping" if here.dispatcher.stopping else "starting"
    if not here.dispatcher.stopping and here.pool.any_ready():
        status = "ready"
    shown: dict[str, Any] = {"status": status, "workers": _workers(here, request)}
    if status == "ready":
        return JSONResponse(shown)
    problem = Problem("not-ready", f"The server is {status}.", headers=retry_after(3))
    document = {**problem.document(), **shown}
    return JSONResponse(document, 503, problem.headers, "application/problem+json")


def _workers(here: Service, request: Request) -> list[dict[str, Any]]:
    trusted = here.keys is None or request.scope["state"]["known"]
    return [
        {
            "index": worker.index,
            "pid": worker.pid if trusted else None,
            "state": worker.state,
        }
        for worker in here.pool.workers
    ]


@router.get("/metrics", responses=documented(media="text/plain"))
async def metrics(here: Here) -> Response:
    """Prometheus text."""
    if not here.settings.metrics:
        raise Problem("not-found", "Metrics are switched off.")
    own = here.metrics
    own.streams.set(here.hub.streams)
    queue = here.dispatcher.queue
    own.jobs.labels("queued").set(len(queue.queued))
    own.jobs.labels("running").set(len(queue.running))
    states = [worker.state for worker in here.pool.workers]
    for state in ("starting", "idle", "busy"):
        own.workers.labels(state).set(states.count(state))
    return Response(own.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
