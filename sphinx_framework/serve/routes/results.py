"""A job's files: the manifest, one file, all of them as a zip."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse

from sphinx_framework.serve import store
from sphinx_framework.serve.lifecycle import file_url
from sphinx_framework.serve.problems import Problem
from sphinx_framework.serve.ranges import keep_one_range
from sphinx_framework.serve.routes.common import Here, Owner, documented
from sphinx_framework.serve.service import Service
from sphinx_framework.serve.store import Row

router = APIRouter(prefix="/v1/jobs/{id}", tags=["results"])
PIECE = 1 << 16


@router.get("/result", responses=documented(409))
async def result(id: str, here: Here, owner: Owner) -> JSONResponse:
    """The manifest of a succeeded job."""
    entries = await _result_files(here, owner, id)
    shown = ("name", "media_type", "bytes", "sha256")
    files = [
        {**{key: entry[key] for key in shown}, "url": file_url(id, entry["name"])}
        for entry in entries
    ]
    return JSONResponse({"job": id, "object": "result", "files": files})


@router.get("/result.zip", responses=documented(409, media="application/zip"))
async def archive(id: str, here: Here, owner: Owner) -> StreamingResponse:
    """All files of the manifest, streamed."""
    entries = await _result_files(here, owner, id)
    folder = here.data.job(id) / "files"
    names = [entry["name"] for entry in entries]
    headers = {"Content-Disposition": f'attachment; filename="{id}.zip"'}
    return StreamingResponse(_zipped(folder, names), media_type="application/zip", headers=headers)


@router.get("/files/{path:path}", responses=documented(304, 416, media="*/*"))
async def file(
    id: str,
    path: str,
    request: Request,
    here: Here,
    owner: Owner,
) -> Response:
    """One file, as soon as an event has named it; only exact names exist."""
    await here.job(owner, id)
    entry = None
    if request.scope.get("raw_path", b"").endswith(f"/files/{path}".encode()):
        entry = await here.database.run(store.file_of, id, path)
    if entry is None:
        raise Problem("not-found", "The job has no such file.")
    return file_response(here.data.job(id) / "files" / entry["name"], entry, request)


def file_response(path: Path, entry: Row, request: Request) -> Response:
    """A file with its entry's type and tag; honours ``If-None-Match`` and a single range."""
    tag = f'"{entry["sha256"]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f'inline; filename="{path.name}"',
    }
    given = request.headers.get("if-none-match", "")
    tags = [part.strip().removeprefix("W/") for part in given.split(",")]
    if tag in tags or given.strip() == "*":
        return Response(status_code=304, headers=headers)
    try:
        found = path.stat()
    except OSError:  # deleted since the database was asked
        raise Problem("not-found", "The job has no such file.") from None
    keep_one_range(request, found.st_size, tag)
    return FileResponse(path, headers=headers, media_type=entry["media_type"], stat_result=found)


async def _result_files(here: Service, owner: str, identity: str) -> list[Row]:
    row = await here.job(owner, identity)
    if row["status"] in ("queued", "running"):
        raise Problem("job-not-finished", "The job has not ended.")
    if row["status"] != "succeeded":
        raise Problem("job-unsuccessful", f"The job has {row['status']}; it has no result.")
    return await here.database.run(store.result_files, identity)


class _Tape:
    """What a zip is written to when it goes out at once."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def take(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


def _zipped(folder: Path, names: list[str]) -> Iterator[bytes]:
    tape = _Tape()
    with zipfile.ZipFile(tape, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o644 << 16
            with archive.open(info, "w") as target, open(folder / name, "rb") as source:
                while piece := source.read(PIECE):
                    target.write(piece)
                    yield tape.take()
    yield tape.take()
