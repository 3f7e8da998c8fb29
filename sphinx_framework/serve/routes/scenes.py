"""``/v1/scenes``: samples, and what a scene looks like before anything is rendered."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.targets import parse_targets
from sphinx_framework.serve import store
from sphinx_framework.serve.problems import Problem
from sphinx_framework.serve.requests import GENERATED, UPLOADED
from sphinx_framework.serve.routes.common import Here, Owner, documented
from sphinx_framework.serve.scene_views import SceneView
from sphinx_framework.serve.service import Service

router = APIRouter(prefix="/v1/scenes", tags=["scenes"])
Identity = Annotated[str, Query(max_length=200)]
Targets = Annotated[str | None, Query(max_length=200)]
BRIEFLY = {"Cache-Control": "private, max-age=600"}


@router.get("", responses=documented())
async def scenes(here: Here) -> JSONResponse:
    """The generated scenes that this server offers to try it out."""
    data = [{"id": name, "object": "sample"} for name in here.scene_views.samples()]
    return JSONResponse({"object": "list", "data": data})


@router.get("/cameras", responses=documented(422))
async def cameras(here: Here, owner: Owner, id: Identity, targets: Targets = None) -> Response:
    """Cameras of a sample's or own scene's inputs and of a path of targets, OpenCV axes."""
    view = await _view(here, owner, id, targets)
    return Response(view.cameras, media_type="application/json", headers=BRIEFLY)


@router.get("/photo", responses=documented(422, media="image/png"))
async def photo(
    here: Here, owner: Owner, id: Identity, index: Annotated[int, Query(ge=0, le=100_000)] = 0
) -> Response:
    """A small picture of an input, as the models see it."""
    view = await _view(here, owner, id, None)
    if index >= len(view.thumbnails):
        raise Problem("not-found", "The scene has no such photo.")
    return Response(view.thumbnails[index], media_type="image/png", headers=BRIEFLY)


async def _view(here: Service, owner: str, identity: str, targets: str | None) -> SceneView:
    if identity not in here.scene_views.samples():
        named = GENERATED.fullmatch(identity) or UPLOADED.fullmatch(identity)
        if named is None or not await _has_job(here, owner, identity):
            raise Problem("not-found", "There is no such scene.")
    try:
        spec = parse_targets(targets)
    except SceneError as error:
        raise Problem("request-invalid", error.message, hint=error.hint) from None
    if spec.kind == "file":
        raise Problem("request-invalid", "targets names a file.")
    return await here.scene_views.view(identity, targets)


async def _has_job(here: Service, owner: str, identity: str) -> bool:
    return await here.database.run(lambda t: store.scene_is_used(t, identity, owner))
