"""The files of a finished job, into an output folder: all of them at once, or none."""

import hashlib
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sphinx_framework.client.connection import (
    OURS,
    PAUSE_SECONDS,
    BusyError,
    Connection,
    Patience,
    RefusedError,
    UnreachableError,
)
from sphinx_framework.errors import SphinxError, shown
from sphinx_framework.folders.folder import PARTIAL, OutputFolder
from sphinx_framework.folders.manifest import MANIFEST, is_inner_name

REPORT = "report.json"  # comes last, as render leaves it: a folder with a report is whole
TRIES = 5
_GONE = (404, 410)  # what the server knows nothing of (any more); nothing is left to come back for


class RemoteFile(BaseModel):
    """A file of a result: its name in the folder, where it is, and its digest."""

    model_config = ConfigDict(frozen=True, strict=True)
    name: str
    url: str
    sha256: str


class Listing(BaseModel):
    """What a server announces as a result; never nothing, which would replace what is there."""

    files: list[RemoteFile] = Field(min_length=1)


def fetch_result(connection: Connection, job: str, out: OutputFolder) -> Path:
    """Replace what an earlier run left in ``out`` by a job's result; returns the folder.

    Raises as :meth:`~sphinx_framework.client.jobs.Job.download`; the folder is then as it was.
    """
    files = listed(connection.request("GET", f"/v1/jobs/{job}/result"), out.path)
    with out.replacing(last=REPORT) as new:
        for file in files:
            place = new / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            _fetch(connection, file, place)
    return out.path


def listed(answer: httpx.Response, folder: Path) -> list[RemoteFile]:
    """The files that a server announces, each at a place inside of ``folder``.

    Raises :class:`UnreachableError` for a list that is none, and for a place elsewhere.
    """
    try:
        files = Listing.model_validate_json(answer.content).files
    except ValidationError:
        raise UnreachableError(
            f"the server at {shown(answer.url.host)} answered with something else than the files "
            "of a result.",
            hint=OURS,
        ) from None
    for file in files:
        own = file.name.split("/")[0] in (MANIFEST, PARTIAL)  # names of the folder's own
        if own or not is_inner_name(file.name) or not _is_path(file.url):
            raise UnreachableError(
                f"the server named a file outside of {shown(folder)}: {shown(file.name)}."
            )
    return files


def return_command(url: str, job: str, out: str | Path | None = None) -> str:
    """What to type to come back to a job, and to fetch its result into ``out``."""
    into = "" if out is None else f" --out {shlex.quote(shown(out))}"
    return f"sphinx-nvs submit --server {shlex.quote(url)} --job {shlex.quote(job)}{into}"


@contextmanager
def told_how_to_return(
    url: str, job: str, out: str | Path | OutputFolder | None = None
) -> Iterator[None]:
    """Let every error within say that the server keeps the job, and how to fetch it later."""
    try:
        yield
    except SphinxError as error:
        if not (isinstance(error, RefusedError) and error.status in _GONE):
            place = out.path if isinstance(out, OutputFolder) else out
            error.advise(
                f"The server keeps the job {job}; come back with: {return_command(url, job, place)}"
            )
        raise


def _is_path(url: str) -> bool:
    """Whether an address stays on the server that was asked; others must not get its key."""
    return url.startswith("/") and not url.startswith("//") and url.isprintable()


def _fetch(connection: Connection, file: RemoteFile, place: Path) -> None:
    """One file, again where it arrives damaged, and where the connection breaks for a while."""
    damaged, patience = 0, Patience(connection)
    while damaged < TRIES:
        try:
            if _sum_of(connection, file.url, place) == file.sha256:
                return
            damaged += 1
            patience.heard()
        except (httpx.RequestError, BusyError) as error:
            patience.broken(error)
            time.sleep(PAUSE_SECONDS)
    raise UnreachableError(f"{file.name} arrived damaged {TRIES} times.")


def _sum_of(connection: Connection, url: str, place: Path) -> str:
    digest = hashlib.sha256()
    with connection.stream(url) as answer, place.open("wb") as part:
        for chunk in answer.iter_bytes():
            digest.update(chunk)
            part.write(chunk)
    return digest.hexdigest()
