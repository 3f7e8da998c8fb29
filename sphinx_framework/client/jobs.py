"""Submitting jobs and picking up what they make."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx

from sphinx_framework.client.connection import Connection, UnreachableError
from sphinx_framework.client.events import Event, follow
from sphinx_framework.client.pack import (
    is_posed,
    packed,
    photos_of,
    scene_folder,
    target_cameras,
)
from sphinx_framework.errors import ConfigError

FINAL = ("succeeded", "failed", "canceled")
TRIES = 5


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
        targets = fields.get("targets")
        if isinstance(targets, Path) or (targets is not None and targets.endswith(".json")):
            convention = fields.get("convention", "auto")
            fields["target_cameras"] = target_cameras(Path(fields.pop("targets")), convention)
        headers = {"Idempotency-Key": idempotency_key or secrets.token_urlsafe(24)}
        named = str(scene)
        if named.startswith(("procedural:", "sha256:")):
            body = {"json": {**fields, "scene": named}}
            answer = self.connection.request("POST", "/v1/jobs", headers=headers, body=lambda: body)
        else:
            folder = scene_folder(scene)
            answer = self.connection.request(
                "POST", "/v1/jobs", headers=headers, body=lambda: _form(folder, fields)
            )
        return Job(self.connection, answer.json())

    def job(self, identity: str) -> "Job":
        """An earlier job by its id."""
        return Job(self.connection, self.connection.request("GET", f"/v1/jobs/{identity}").json())


class Job:
    """A job; ``view`` is the server's object as it was last seen."""

    def __init__(self, connection: Connection, view: dict[str, Any]) -> None:
        self._connection = connection
        self.view = view

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
        self.view = self._connection.request("GET", f"/v1/jobs/{self.id}").json()
        return self

    def events(self, after: int = 0) -> Iterator[Event]:
        """All events after a number, live until the job ends; broken connections are resumed."""
        yield from follow(self._connection, self.id, after)
        self.refresh()

    def wait(self) -> "Job":
        """Follow the job to its end."""
        for _ in self.events():
            pass
        return self

    def cancel(self) -> "Job":
        """Ask the server to stop it."""
        self.view = self._connection.request("POST", f"/v1/jobs/{self.id}/cancel").json()
        return self

    def download(self, out: str | Path) -> Path:
        """Fetch every file of the result, checked by its sum; each appears whole or not at all."""
        folder = Path(out)
        manifest = self._connection.request("GET", f"/v1/jobs/{self.id}/result").json()
        for entry in manifest["files"]:
            place = (folder / entry["name"]).resolve()
            if not place.is_relative_to(folder.resolve()):
                raise UnreachableError(f"the server named a file outside of {folder}.")
            self._fetch(entry, place)
        return folder

    def _fetch(self, entry: dict[str, Any], place: Path) -> None:
        part = place.with_name(f".{place.name}.part")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            for _ in range(TRIES):
                if self._sum_of(entry["url"], part) == entry["sha256"]:
                    os.replace(part, place)
                    return
        except OSError as error:
            raise ConfigError(f"{place}: cannot be written: {error.strerror}.") from None
        finally:
            part.unlink(missing_ok=True)
        raise UnreachableError(f"{entry['name']} arrived damaged {TRIES} times.")

    def _sum_of(self, url: str, part: Path) -> str:
        digest = hashlib.sha256()
        try:
            with self._connection.stream(url) as answer, open(part, "wb") as file:
                for chunk in answer.iter_bytes():
                    digest.update(chunk)
                    file.write(chunk)
        except httpx.TransportError:
            return ""
        return digest.hexdigest()


def _form(folder: Path, fields: dict[str, Any]) -> dict[str, Any]:
    """The body of an upload, made anew for every try."""
    if is_posed(folder):
        files = [("scene", ("scene.zip", packed(folder), "application/zip"))]
    else:
        files = [
            ("photos", (path.name, path.open("rb"), "application/octet-stream"))
            for path in photos_of(folder)
        ]
    return {"files": files, "data": {"request": json.dumps(fields)}}
