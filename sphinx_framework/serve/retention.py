"""Forgetting: finished jobs after their time, or when the directory is full, and unused scenes."""

import asyncio
import shutil
import time
from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sphinx_framework.serve import store
from sphinx_framework.serve.dispatcher import Dispatcher
from sphinx_framework.serve.orders import SHA, scene_folder
from sphinx_framework.serve.problems import Problem
from sphinx_framework.serve.scenes import Scenes
from sphinx_framework.serve.storage import is_full

SWEEP_SECONDS = 30.0
AT_ONCE = 50


class Retention:
    """Deletes what is over, keeps what any job still needs."""

    def __init__(self, dispatcher: Dispatcher, scenes: Scenes) -> None:
        """For a server's parts."""
        self.dispatcher, self.scenes = dispatcher, scenes
        self.database, self.data = dispatcher.database, dispatcher.data
        self.settings = dispatcher.settings
        self.used_bytes = 0
        self._room = asyncio.Lock()

    async def start_clean(self) -> None:
        """Remove folders that no job knows: accepted in part, or deleted in part.

        Results are neither: the database is older than they are, and they are kept aside.
        """
        known_jobs, known_scenes = await self.database.persist(store.known)
        lost = await asyncio.to_thread(self._clean, known_jobs, known_scenes)
        if lost:
            self.dispatcher.log.error(
                "results that the database does not know are kept",
                folder=str(self.data.lost),
                jobs=lost,
            )
        await self._measure()

    def _clean(self, known_jobs: set[str], known_scenes: set[str]) -> int:
        """How many results were kept aside; with them all scenes that may be theirs."""
        lost = 0
        for folder in list(self.data.jobs.iterdir()):
            if folder.name in known_jobs:
                self.data.mark_deleted(folder.name, deleted=False)
            elif self.data.holds_results(folder.name):
                self.data.set_aside(folder)
                lost += 1
            else:
                shutil.rmtree(folder, ignore_errors=True)
        for folder in list(self.data.scenes.iterdir()):
            if SHA + folder.name not in known_scenes:
                if lost:
                    self.data.set_aside(folder)
                else:
                    shutil.rmtree(folder, ignore_errors=True)
        return lost

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(min(SWEEP_SECONDS, self.settings.keep_hours * 900))
            try:
                await self.sweep()
            except (OSError, Problem, SQLAlchemyError) as error:  # the next sweep may work
                reason = type(error).__name__
                self.dispatcher.log.info("sweep failed", reason=reason)

    async def sweep(self) -> None:
        """Delete jobs past their time, then the oldest while the directory is too full."""
        await self._delete_before(time.time() - self.settings.keep_hours * 3600)
        await self._measure()
        evicted = 0
        while self._full() and await self._delete_before(time.time(), limit=1):
            evicted += 1
            await self._measure()
        if evicted:
            log = self.dispatcher.log
            log.info("the oldest finished jobs went: over --max-data-gb", jobs=evicted)

    async def make_room(self) -> None:
        """Before a job is accepted: 507 when nothing that could be deleted is left."""
        if not self._full():
            return
        async with self._room:
            await self.sweep()
        if self._full():
            raise Problem(
                "storage-full",
                f"The server's files take more than {self.settings.max_data_gb:g} GB.",
                hint="Delete finished jobs, or come back later.",
            )

    async def delete(self, identity: str) -> None:
        """Forget a finished job and its files; :class:`Problem` 507 where that cannot be stored."""
        self.data.mark_deleted(identity)
        try:
            scene_id = await self._forget(identity)
        except BaseException:
            self.data.mark_deleted(identity, deleted=False)
            raise
        await asyncio.to_thread(self.data.remove, self.data.job(identity))
        if scene_id is not None:
            await self.drop_scene(scene_id)

    async def _forget(self, identity: str) -> str | None:
        """Remove a job from the database, which needs space: on a full disk, that of its files."""
        try:
            return await self.database.run(store.remove, identity)
        except DBAPIError as error:
            if not is_full(error):
                raise
        files = self.data.job(identity) / "files"
        await asyncio.to_thread(shutil.rmtree, files, ignore_errors=True)
        try:
            return await self.database.run(store.remove, identity)
        except DBAPIError as error:
            if not is_full(error):
                raise
            raise Problem(
                "storage-full",
                "The server's disk is full: the job's files are deleted, the job is still listed.",
                hint="Delete it again once there is space on the server's disk.",
            ) from None

    async def drop_scene(self, scene_id: str) -> None:
        """Remove an uploaded scene that no job has; one that a request may just get stays."""
        if not scene_id.startswith(SHA):
            return
        used = await self.database.run(store.scene_is_used, scene_id)
        # A request unpins only after its commit, which comes after this answer or is in it.
        if not used and scene_id not in self.scenes.pinned:
            self.data.remove(scene_folder(scene_id, self.data))

    async def _delete_before(self, moment: float, limit: int = AT_ONCE) -> int:
        identities = await self.database.run(store.finished_before, moment, limit)
        for identity in identities:
            await self.delete(identity)
        return len(identities)

    async def _measure(self) -> None:
        self.used_bytes = await asyncio.to_thread(self.data.size)
        self.dispatcher.metrics.data_bytes.set(self.used_bytes)

    def _full(self) -> Any:
        return self.used_bytes > self.settings.max_data_gb * 1e9
