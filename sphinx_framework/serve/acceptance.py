"""Accepting a job: everything is checked first; then scene, job and first event become durable."""

import asyncio
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, OperationalError

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.targets import parse_targets
from sphinx_framework.serve import admission, store
from sphinx_framework.serve.body import Part
from sphinx_framework.serve.database import Transaction
from sphinx_framework.serve.datadir import durable_write
from sphinx_framework.serve.dispatcher import Dispatcher
from sphinx_framework.serve.orders import CAMERAS, SHA, digest
from sphinx_framework.serve.predict import Work
from sphinx_framework.serve.problems import Problem
from sphinx_framework.serve.requests import (
    LARGEST_REQUEST,
    JobRequest,
    check_scene_name,
    parse_request,
)
from sphinx_framework.serve.retention import Retention
from sphinx_framework.serve.scenes import Candidate, Facts, Scenes
from sphinx_framework.serve.store import Row
from sphinx_framework.serve.tables import jobs

LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
CHECKS_AT_ONCE = 2
HALF = 32


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and the key that makes asking again safe."""

    owner: str
    key: str | None


class Acceptance:
    """The way of a request into the queue."""

    def __init__(self, dispatcher: Dispatcher, scenes: Scenes, retention: Retention) -> None:
        """Join the parts."""
        self.dispatcher, self.scenes, self.retention = dispatcher, scenes, retention
        self.database, self.data = dispatcher.database, dispatcher.data
        self.config = scenes.config
        # What has its scene here waits for no upload, however long that takes to check.
        self._uploads, self._named = (asyncio.Semaphore(CHECKS_AT_ONCE) for _ in range(2))
        self.side = 1

    async def accept_json(self, body: bytes, caller: Caller) -> tuple[Row, bool]:
        """A request that names its scene; the job and whether it is a replay."""
        request = parse_request(body)
        name = check_scene_name(request.scene)
        with self.workplace() as place:
            told = "scene" if name.startswith(SHA) else name.split(":")[1][:100]
            candidate = Candidate(name, told)
            with self.scenes.pin(name):
                return await self._accept(request, candidate, caller, place)

    async def accept_form(self, parts: list[Part], caller: Caller, place: Path) -> tuple[Row, bool]:
        """A form with a scene's archive, or with photos."""
        by_name: dict[str, list[Part]] = {}
        for part in parts:
            by_name.setdefault(part.name, []).append(part)
        _check_parts(by_name)
        request = JobRequest()
        if "request" in by_name:
            kind = by_name["request"][0].content_type
            if kind not in ("", "application/json", "text/plain"):
                raise Problem("malformed-request", "The part 'request' must be JSON.")
            request = parse_request(by_name["request"][0].read(LARGEST_REQUEST))
        if request.scene is not None:
            raise Problem(
                "request-invalid",
                "The request names a scene, and the form brings one.",
                errors=[{"pointer": "/scene", "detail": "not together with an upload"}],
            )
        candidate = await _in_thread(self._uploads, self._candidate, by_name, place)
        try:
            with self.scenes.pin(candidate.identity):
                return await self._accept(request, candidate, caller, place)
        except BaseException:
            await self.retention.drop_scene(candidate.identity)
            raise

    def workplace(self) -> "Workplace":
        """A new folder below ``tmp`` that is gone afterwards."""
        return Workplace(self.data.tmp)

    def _candidate(self, by_name: dict[str, list[Part]], place: Path) -> Candidate:
        if "scene" in by_name:
            return self.scenes.from_archive(by_name["scene"][0], place)
        cameras = by_name.get("cameras", [None])[0]
        return self.scenes.from_photos(by_name["photos"], cameras, place)

    async def _accept(
        self, request: JobRequest, candidate: Candidate, caller: Caller, place: Path
    ) -> tuple[Row, bool]:
        filled = self._filled(request)
        fingerprint = _fingerprint(request, filled, candidate.identity)
        replay = await self._replay(caller, fingerprint)
        if replay is not None:
            return replay, True
        admission.check_open(self.dispatcher)
        admission.check_room(self.dispatcher)
        self._check_request(request)
        if candidate.identity.startswith("sha256:") and candidate.folder is None:
            await self._check_known(candidate.identity, caller.owner)
        cameras = None
        if request.target_cameras is not None:
            cameras = place / CAMERAS
            cameras.write_text(request.target_cameras.model_dump_json(exclude_none=True))
        slots = self._named if candidate.folder is None else self._uploads
        facts = await _in_thread(slots, self._facts, candidate, request, cameras)
        self._check_size(facts, filled["mode"])
        await self.retention.make_room()
        values = self._values(filled, candidate, facts, caller, fingerprint)
        row, replayed = await self._store(values, candidate, cameras, caller, fingerprint)
        if not replayed:
            self.dispatcher.metrics.accepted.inc()
            self.dispatcher.add(row)
        return row, replayed

    async def _store(
        self,
        values: dict[str, Any],
        candidate: Candidate,
        cameras: Path | None,
        caller: Caller,
        fingerprint: str,
    ) -> tuple[Row, bool]:
        """Files first, then the commit; of two with one key, one wins."""
        folder = self.data.job(values["id"])

        def write() -> None:
            self.scenes.keep(candidate)
            folder.mkdir(mode=0o700)
            if cameras is not None:
                durable_write(folder / CAMERAS, cameras.read_bytes())

        try:
            await asyncio.to_thread(write)
            return await self.database.run(self._commit, values), False
        except IntegrityError:
            self.data.remove(folder)
            replay = await self._replay(caller, fingerprint)
            if replay is None:
                raise
            return replay, True
        except (Problem, OSError, OperationalError):  # after a DoubtError the job may be there
            self.data.remove(folder)
            raise

    def _commit(self, transaction: Transaction, values: dict[str, Any]) -> Row:
        key = values["idempotency_key"]
        if key is None or store.by_key(transaction, values["owner"], key) is None:
            query = select(func.count()).select_from(jobs).where(jobs.c.status == "queued")
            queued = transaction.connection.execute(query).scalar_one()
            admission.check_room(self.dispatcher, queued + len(self.dispatcher.queue.prepared))
        return store.accept(transaction, values)

    async def _replay(self, caller: Caller, fingerprint: str) -> Row | None:
        if caller.key is None:
            return None
        row = await self.database.run(store.by_key, caller.owner, caller.key)
        if row is not None and not _same(row["fingerprint"], fingerprint):
            raise Problem(
                "idempotency-key-reused",
                "This Idempotency-Key was used with another request or scene.",
                hint="Use a new key for every new request.",
            )
        if row is not None:
            self.dispatcher.metrics.replayed.inc()
        return row

    def _filled(self, request: JobRequest) -> dict[str, Any]:
        """The request with the config's defaults, as the job shows it."""
        values = request.model_dump(mode="json", exclude={"scene"})
        values["mode"] = request.mode or self.config.mode
        values["quality"] = self.config.quality if request.quality is None else request.quality
        return values

    def _check_request(self, request: JobRequest) -> None:
        try:
            parse_targets(request.targets)
        except SceneError as error:
            pointer = {"pointer": "/targets", "detail": error.message}
            raise Problem(
                "request-invalid", error.message, hint=error.hint, errors=[pointer]
            ) from None
        if request.budget_ms is not None and not self.config.cost.measured:
            raise Problem(
                "request-invalid",
                "A latency budget needs a measured cost table, and this server has none.",
                errors=[{"pointer": "/budget_ms", "detail": "cannot be predicted"}],
            )

    async def _check_known(self, scene_id: str, owner: str) -> None:
        if not await self.database.run(store.scene_is_used, scene_id, owner):
            raise Problem(
                "scene-invalid",
                "No job of yours has this scene any more.",
                hint="Upload the scene again.",
            )

    def _facts(self, candidate: Candidate, request: JobRequest, cameras: Path | None) -> Facts:
        return self.scenes.facts(
            candidate,
            targets=request.targets,
            cameras=cameras,
            split=request.split,
            convention=request.convention,
        )

    def _check_size(self, facts: Facts, mode: str) -> None:
        if mode != "regression" and (facts.height % self.side or facts.width % self.side):
            raise Problem(
                "scene-invalid",
                f"The scene is {facts.height}x{facts.width}; this pipeline's sides are multiples "
                f"of {self.side}.",
                hint="Resize the photos, or ask for mode regression.",
            )

    def _values(
        self,
        filled: dict[str, Any],
        candidate: Candidate,
        facts: Facts,
        caller: Caller,
        fingerprint: str,
    ) -> dict[str, Any]:
        now = time.time()
        work = Work(filled["mode"], facts.targets, facts.height * facts.width)
        predictor = self.dispatcher.predictor
        served = admission.served(
            self.dispatcher, work, filled["quality"], degrade=filled["degrade"]
        )
        return {
            "id": "job_" + "".join(secrets.choice(LETTERS) for _ in range(26)),
            "owner": caller.owner,
            "created": now,
            "deadline": predictor.deadline(now, work, filled["deadline_ms"]),
            "predicted_seconds": predictor.seconds(work),
            "model": self.config.name,
            "request": filled,
            "served": served,
            "scene": {
                "id": candidate.identity,
                "name": candidate.name,
                "inputs": facts.inputs,
                "targets": facts.targets,
                "height": facts.height,
                "width": facts.width,
            },
            "scene_id": candidate.identity,
            "idempotency_key": caller.key,
            "fingerprint": fingerprint,
        }


class Workplace:
    """A folder below ``tmp``, removed at the end whatever happens."""

    def __init__(self, tmp: Path) -> None:
        self.path = tmp / f"upload-{secrets.token_hex(8)}"

    def __enter__(self) -> Path:
        self.path.mkdir(mode=0o700)
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


async def _in_thread(slots: asyncio.Semaphore, work: Any, *arguments: Any) -> Any:
    async with slots:
        return await asyncio.to_thread(work, *arguments)


def _check_parts(by_name: dict[str, list[Part]]) -> None:
    unknown = sorted(by_name.keys() - {"scene", "photos", "cameras", "request"})
    if unknown:
        raise Problem("malformed-request", f"The form has an unknown part {unknown[0]!r}.")
    for name in ("scene", "cameras", "request"):
        if len(by_name.get(name, [])) > 1:
            raise Problem("malformed-request", f"The form has more than one part {name!r}.")
    if ("scene" in by_name) == ("photos" in by_name):
        raise Problem("malformed-request", "The form must have a scene or photos, and not both.")
    if "scene" in by_name and "cameras" in by_name:
        raise Problem("malformed-request", "Cameras come with photos, not with a scene.")


def _fingerprint(request: JobRequest, filled: dict[str, Any], scene_id: str) -> str:
    """Of a request as it was asked, and of the same with this config's defaults filled in."""
    return (
        digest([request.model_dump(mode="json"), scene_id])[:HALF]
        + digest([filled, scene_id])[HALF:]
    )


def _same(one: str, other: str) -> bool:
    """Whether two payloads are one: asked alike, also of another config, or meaning the same."""
    return one[:HALF] == other[:HALF] or one[HALF:] == other[HALF:]
