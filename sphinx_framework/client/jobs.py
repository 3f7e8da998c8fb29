"""Submitting jobs and picking up what they make."""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx

from sphinx_framework.client.connection import OURS, Connection, UnreachableError
from sphinx_framework.client.events import Event, follow
from sphinx_framework.client.fetch import fetch_result, return_command, told_how_to_return
from sphinx_framework.client.pack import is_posed, packed, photos_of, scene_folder
from sphinx_framework.client.targets import target_cameras
from sphinx_framework.errors import ConfigError, shown
from sphinx_framework.folders.folder import OutputFolder
from sphinx_framework.folders.manifest import RENDERED
from sphinx_framework.scenes.target_keys import names_target_file

FINAL = ("succeeded", "failed", "canceled")
_JOB = re.compile(r"job_[0-9a-z]{26}", re.ASCII)
_KEY = re.compile(r"[!-~]{1,200}", re.ASCII)


class Client:
    """A server, as one caller sees it."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        """url: such as ``http://127.0.0.1:8000``."""
        self.connection = Connection(url, api_key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def submit(
        self, scene: str | Path, *, idempotency_key: str | None = None, **request: Any
    ) -> "Job":
        """Send a scene folder, or name a generated or earlier scene, and get a job.

        request: fields of the contract, such as ``quality``, ``mode``, ``seed``, ``targets`` (a
        specification, or the path of a pose file), ``target_cameras``, ``deadline_ms``.
        The key makes repeated tries one job; it is random unless given.
        Raises ``RefusedError`` when the input is wrong, ``UnreachableError`` when nobody answers.
        """
        fields = {name: value for name, value in request.items() if value is not None}
        named = str(scene)
        known = named.startswith(("procedural:", "sha256:"))
        sent = named if known else scene_folder(scene)
        targets = fields.get("targets")
        warnings: tuple[str, ...] = ()
        if isinstance(targets, Path) or (targets is not None and names_target_file(targets)):
            file = Path(fields.pop("targets")).expanduser()
            convention = fields.get("convention", "auto")
            fields["target_cameras"], warnings = target_cameras(file, convention, sent)
        headers = {"Idempotency-Key": _checked_key(idempotency_key or secrets.token_urlsafe(24))}
        if not isinstance(sent, Path):
            fields["scene"] = sent
            headers["Content-Type"] = "application/json"
        text = _encoded(fields)

        def body() -> dict[str, Any]:
            if isinstance(sent, Path):
                return _form(sent, text)
            return {"content": text}

        answer = self.connection.request("POST", "/v1/jobs", headers=headers, body=body)
        folders = (sent,) if isinstance(sent, Path) else ()
        return Job(self.connection, _view(answer), sent=folders, warnings=warnings)

    def job(self, identity: str) -> "Job":
        """An earlier job by its id; raises :class:`ConfigError` for what is none."""
        if not _JOB.fullmatch(identity):
            raise ConfigError(
                f"{shown(identity)!r} is no job's id.",
                hint="Ids are job_ and 26 letters or digits.",
            )
        answer = self.connection.request("GET", f"/v1/jobs/{identity}")
        return Job(self.connection, _view(answer))


class Job:
    """A job; ``view`` is the server's object as it was last seen.

    warnings: what is doubtful about the target file that was sent with it.
    """

    def __init__(
        self,
        connection: Connection,
        view: dict[str, Any],
        *,
        sent: tuple[Path, ...] = (),
        warnings: tuple[str, ...] = (),
    ) -> None:
        """sent: scene folders of this machine, which its result never goes into."""
        self._connection = connection
        self._sent = sent
        self.view = view
        self.warnings = warnings

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.view["id"])

    @property
    def status(self) -> str:
        """As last seen: queued, running, succeeded, failed or canceled."""
        return str(self.view["status"])

    def refresh(self) -> "Job":
        """Look again."""
        self.view = _view(self._connection.request("GET", f"/v1/jobs/{self.id}"))
        return self

    def events(self, after: int = 0) -> Iterator[Event]:
        """All events after a number, live until the job ends; broken connections are resumed."""
        with told_how_to_return(self._connection.url, self.id):
            yield from follow(self._connection, self.id, after)
        self.refresh()

    def wait(self) -> "Job":
        """Follow the job to its end."""
        for _ in self.events():
            pass
        return self

    def cancel(self) -> "Job":
        """Ask the server to stop it."""
        self.view = _view(self._connection.request("POST", f"/v1/jobs/{self.id}/cancel"))
        return self

    def return_command(self, out: str | Path | None = None) -> str:
        """What to type to come back to this job, and to fetch its result into ``out``."""
        return return_command(self._connection.url, self.id, out)

    def download(self, out: str | Path | OutputFolder) -> Path:
        """Fetch the result into a folder, checked by its sums; all of it at once, or nothing.

        An earlier result of ours in that folder is replaced; nothing else is. Returns the folder.
        out: or one that is held already, so that it was checked before the job was sent.

        Raises:
            ConfigError: the folder holds a file that is not ours, overlaps the scene that was sent,
                or cannot be written.
            JobError: the disk is full, or (``UnreachableError``) the server went away or sent
                something else than it announced.
            RefusedError: there is no result, or none any more.
        """
        with told_how_to_return(self._connection.url, self.id, out):
            if isinstance(out, OutputFolder):
                return fetch_result(self._connection, self.id, out)
            with OutputFolder(out, option="path", holds=RENDERED, scenes=self._sent) as folder:
                return fetch_result(self._connection, self.id, folder)


def _checked_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ConfigError(
            f"{shown(key)!r} is no idempotency key.",
            hint="It has 1 to 200 visible ASCII characters, no spaces.",
        )
    return key


def _encoded(fields: dict[str, Any]) -> str:
    """The request as JSON; raises :class:`ConfigError` naming a field that JSON cannot hold."""
    for name, value in fields.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise ConfigError(f"{name} cannot be {shown(value)}.") from None
    return json.dumps(fields)


def _view(answer: httpx.Response) -> dict[str, Any]:
    """The job of an answer; raises :class:`UnreachableError` where it is none of our servers'."""
    try:
        view = answer.json()
    except (ValueError, RecursionError):
        view = None
    if isinstance(view, dict) and all(isinstance(view.get(k), str) for k in ("id", "status")):
        return view
    raise UnreachableError(
        f"{shown(answer.url.host)} answered with something else than a job.", hint=OURS
    )


def _form(folder: Path, request: str) -> dict[str, Any]:
    """The body of an upload, made anew for every try."""
    if is_posed(folder):
        files = [("scene", ("scene.zip", packed(folder), "application/zip"))]
    else:
        files = [
            ("photos", (path.name, path.open("rb"), "application/octet-stream"))
            for path in photos_of(folder)
        ]
    return {"files": files, "data": {"request": request}}
