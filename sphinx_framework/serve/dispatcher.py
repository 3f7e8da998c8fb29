"""Hands queued jobs to idle workers, and stores what becomes of them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sphinx_framework.serve import lifecycle, store
from sphinx_framework.serve.database import Database
from sphinx_framework.serve.datadir import DataDirectory
from sphinx_framework.serve.log import Log
from sphinx_framework.serve.metrics import Metrics
from sphinx_framework.serve.orders import order_of
from sphinx_framework.serve.placing import next_task
from sphinx_framework.serve.pool import Pool, Worker
from sphinx_framework.serve.predict import REMEMBERED, Predictor, work_of
from sphinx_framework.serve.problems import job_error
from sphinx_framework.serve.queue import Job, Queue
from sphinx_framework.serve.settings import Settings
from sphinx_framework.serve.storage import STORAGE_ERRORS
from sphinx_framework.serve.store import Row
from sphinx_framework.serve.watched import watch

WATCH_SECONDS = 0.25
OTHER_PIPELINE = "The server was started with another pipeline than the job was accepted for."
VERDICTS = {
    "timeout": "The job ran longer than the server's --job-timeout-seconds.",
    "out-of-memory": "The job's process needed more than the server's --worker-memory-mb.",
}


class Dispatcher:
    """The only one who starts jobs and ends them."""

    def __init__(
        self,
        settings: Settings,
        data: DataDirectory,
        database: Database,
        pool: Pool,
        metrics: Metrics,
        log: Log,
    ) -> None:
        """Wire the pool's callbacks to this object."""
        self.settings, self.data, self.database = settings, data, database
        self.pool, self.metrics, self.log = pool, metrics, log
        self.predictor = Predictor()
        self.queue = Queue(settings.workers)
        self.stopping = False
        self._closing = False
        self._to_cancel: set[str] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.failed: Callable[[BaseException], None]
        pool.told, pool.ended, pool.restarts = self.told, self.ended, metrics.restarts.inc

    async def recover(self, pipeline: str) -> None:
        """Queue again what a server before this one left, and learn from what it has done.

        pipeline: digest of what this server runs. Jobs that were accepted for another one fail:
        they would get other pictures than they were promised.
        """
        for row in reversed(await self.database.persist(store.last_succeeded, REMEMBERED)):
            self.predictor.observe(work_of(row), row["predicted_seconds"])
        last = await self.database.persist(store.last_pipeline)
        for row in await self.database.persist(store.unfinished):
            if last not in (None, pipeline):
                error = job_error("internal", OTHER_PIPELINE, "Send it again.")
                row = await self.database.persist(lifecycle.refuse, row["id"], error)
                self.log.error("job failed: accepted for another pipeline", job=row["id"])
            elif row["status"] == "running":
                row = await self.database.persist(_requeue, row["id"], "server-restarted")
            self.metrics.accepted.inc()
            if row["status"] == "queued":
                self.add(row)
            else:
                self.metrics.finished.labels(row["status"]).inc()
        await self.database.persist(store.note_pipeline, pipeline)

    def start(self) -> None:
        """Begin to hand out jobs and to watch the workers."""
        self._tasks = [
            asyncio.create_task(self._hand_out()),
            asyncio.create_task(self._watch()),
        ]
        for task in self._tasks:  # without one of them jobs would wait forever
            watch(task, self.failed)

    def add(self, row: Row) -> None:
        """Queue a stored job."""
        self.queue.queued[row["id"]] = Job.of(row, self.predictor)
        self.wake()

    def wake(self) -> None:
        """A job or a worker is there."""
        self._wake.set()

    async def cancel(self, owner: str, identity: str) -> Row | None:
        """Cancel a job; the row as it was when the cancel was stored, none without such a job."""
        row = await self.database.run(store.request_cancel, owner, identity)
        if row is None:
            return None
        if row["status"] == "canceled" and self.queue.queued.pop(identity, None) is not None:
            self.metrics.ended(row)
        if row["status"] == "running":
            if self.queue.prepared.pop(identity, None) is not None:  # no worker has it
                self._over(
                    await self.database.persist(lifecycle.finish, identity, "canceled"), None
                )
                return row
            self._to_cancel.add(identity)
            for worker in self.pool.workers:
                if identity in worker.jobs:
                    worker.send({"cancel": identity})
        return row

    async def until_over(self, identity: str) -> None:
        """Wait until a running job has ended."""
        while identity in self.queue.running:
            await asyncio.sleep(0.02)

    async def _hand_out(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while not self._closing:
                task = next_task(
                    self.pool.workers, self.queue, self.settings.batch, stopping=self.stopping
                )
                if task is None:
                    break
                give = self._prepare if task.stage == "prepare" else self._refine
                await give(self.pool.workers[task.worker], task.job)
            await self._say_waiting()

    async def _prepare(self, worker: Worker, job: Job) -> None:
        """The first stage, with which an attempt begins."""
        self.queue.take(job)
        self._begin(worker, job)
        worker.preparing = job
        row = await self.database.persist(lifecycle.start, job.identity)
        if row is None:  # canceled meanwhile
            self.queue.remove(job.identity)
            worker.drop(job.identity)
            ended = await self.database.persist(store.peek, job.identity)
            if ended is not None:
                self.metrics.ended(ended)
            return
        job.attempt = row["attempt"]
        self.metrics.started(row)
        self.log.info("job started", job=row["id"], attempt=row["attempt"], worker=worker.index)
        room = None
        if row["served"].get("room"):  # quality is chosen by the plan
            room = self.settings.max_wait_seconds - self.queue.wait_seconds()
        self._send(worker, job, {"prepare": order_of(row, self.data, room)})

    async def _refine(self, worker: Worker, job: Job) -> None:
        """The second stage of an attempt."""
        self.queue.take(job)
        self._begin(worker, job)
        worker.refining[job.identity] = job
        row = await self.database.persist(store.require, job.identity)
        self._send(worker, job, {"refine": order_of(row, self.data)})

    def _begin(self, worker: Worker, job: Job) -> None:
        if not worker.jobs:
            worker.charge([job])
        worker.stepping = False

    def _send(self, worker: Worker, job: Job, order: dict[str, Any]) -> None:
        if worker.jobs.get(job.identity) is not job:
            return  # the process ended meanwhile, and with it this attempt
        if job.scene not in worker.scenes:
            worker.scenes.append(job.scene)
        worker.send(order)
        if job.identity in self._to_cancel:  # asked before the worker knew of the job
            worker.send({"cancel": job.identity})

    async def _say_waiting(self) -> None:
        """Tell of prepared jobs that were put back."""
        for job in [job for job in self.queue.prepared.values() if not job.told_waiting]:
            job.told_waiting = True
            place = {"stage": "waiting", "step": 0, "total": 1}
            message = {"job": job.identity, "attempt": job.attempt, "kind": "progress", **place}
            await self.database.persist(lifecycle.tell, message)

    async def told(self, worker: Worker, message: dict[str, Any]) -> None:
        """A worker's message; files it names are on disk already."""
        if "turn" in message:
            own = worker.jobs
            worker.charge([own[identity] for identity in message["turn"] if identity in own])
            return
        kind, identity = message["kind"], message["job"]
        job = worker.jobs.get(identity)
        if job is None:
            return
        if kind == "cache":
            self.metrics.scene_cache(worker.index, message)
        elif kind == "prepared":
            if identity in self._to_cancel:  # after the worker's last look
                worker.drop(identity)
                row = await self.database.persist(lifecycle.finish, identity, "canceled")
                self._over(row, None)
                self.wake()
                return
            self._prepared(worker, job, message["predicted"])
        elif kind in ("done", "failed", "canceled"):
            if kind == "failed":
                self.log.error("job failed", job=identity, **message["cause"])
            status = {"done": "succeeded"}.get(kind, kind)
            worker.drop(identity)
            row = await self.database.persist(
                lifecycle.finish,
                identity,
                status,
                message.get("error"),
                message.get("files"),
                job.cost,
            )
            self._over(row, message.get("measured"), message.get("calls", ()))
            self.wake()
        else:
            await self.database.persist(lifecycle.tell, message)
            self.metrics.told(message)
            if message.get("stage") == "denoise":
                worker.stepping = True
                self.wake()

    def _prepared(self, worker: Worker, job: Job, predicted: float | None) -> None:
        """The plan is known, and what it will take; the job may be refined at once or later."""
        worker.drop(job.identity)
        job.holder = worker.index
        if predicted is not None:
            job.planned, job.predicted = predicted, self.predictor.at_pace(predicted)
        del self.queue.at_work[job.identity]
        self.queue.prepared[job.identity] = job
        self.wake()

    async def ended(
        self, jobs: list[Job], turn: list[Job], verdict: tuple[str, str] | None
    ) -> None:
        """A worker's process is gone, and with it the attempts it ran.

        Only jobs whose turn it was are charged; where several shared it, each runs alone next.
        """
        guilty = {job.identity for job in turn}
        for job in jobs:
            if verdict is not None and verdict[0] == job.identity:
                error = job_error(verdict[1], VERDICTS[verdict[1]])
                row = await self.database.persist(lifecycle.finish, job.identity, "failed", error)
            elif verdict is None and job.identity in guilty:
                most = self.settings.max_attempts
                row = await self.database.persist(lifecycle.lost, job.identity, most)
            else:
                row = await self.database.persist(lifecycle.displaced, job.identity)
            if row["status"] == "queued":
                self.queue.remove(job.identity)
                self.metrics.requeued.labels("worker-lost").inc()
                self.log.error("job queued again: its worker died", job=job.identity)
                self.add(row)
            else:
                self._over(row, None)

    def _over(
        self, row: Row, measured: dict[str, Any] | None, calls: Sequence[tuple[int, int]] = ()
    ) -> None:
        self._to_cancel.discard(row["id"])
        job = self.queue.remove(row["id"])
        if job is not None and row["status"] == "succeeded":
            self.predictor.observe(replace(job.work, mode=row["served"]["mode"]), job.cost)
            self.predictor.compare(job.planned, job.cost)
        self.metrics.ended(row, measured, calls)
        error = (row["error"] or {}).get("type")
        self.log.info("job ended", job=row["id"], status=row["status"], error=error)

    async def _watch(self) -> None:
        """Kill processes whose job takes too long or too much memory."""
        limit_bytes = (self.settings.worker_memory_mb or 0) * 1e6
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self.queue.queued:
                self.wake()  # who waits for long is prepared ahead of others
            for worker in self.pool.workers:
                worker.charge()
                late = [j for j in worker.turn if j.spent > self.settings.job_timeout_seconds]
                if late:
                    worker.kill((late[0].identity, "timeout"))
                elif limit_bytes and worker.turn and worker.resident_bytes() > limit_bytes:
                    # Of several in one call, none is known to be the one: each runs alone next.
                    alone = worker.turn[0].identity if len(worker.turn) == 1 else None
                    worker.kill((alone, "out-of-memory") if alone else None)

    async def stop(self, seconds: float) -> None:
        """Let running jobs end within some seconds; what remains goes back to the queue."""
        self.stopping = True
        until = time.monotonic() + seconds
        while self.queue.running and time.monotonic() < until:
            await asyncio.sleep(0.05)
        self._closing = True
        for task in self._tasks:
            task.cancel()
        left = list(self.queue.running)
        for worker in self.pool.workers:
            worker.abandon()
        self.database.closing = True
        with suppress(asyncio.CancelledError, *STORAGE_ERRORS):  # else the next start does it
            for identity in left:
                await self.database.run(_requeue, identity, "server-stopping")
        await self.pool.close()


def _requeue(transaction: Any, identity: str, reason: str) -> Row:
    return lifecycle.requeue(transaction, identity, reason, died=False)
