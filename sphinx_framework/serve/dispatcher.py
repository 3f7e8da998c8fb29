"""Hands queued jobs to idle workers, and stores what becomes of them."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from sphinx_framework.serve import lifecycle, store
from sphinx_framework.serve.database import Database
from sphinx_framework.serve.datadir import DataDirectory
from sphinx_framework.serve.log import Log
from sphinx_framework.serve.metrics import Metrics
from sphinx_framework.serve.orders import order_of
from sphinx_framework.serve.pool import Pool, Worker
from sphinx_framework.serve.predict import Predictor
from sphinx_framework.serve.problems import job_error
from sphinx_framework.serve.queue import Job, Queue
from sphinx_framework.serve.settings import Settings
from sphinx_framework.serve.store import Row

WATCH_SECONDS = 0.25
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
        self._to_cancel: set[str] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        pool.told, pool.ended, pool.restarts = self.told, self.ended, metrics.restarts.inc

    async def recover(self) -> None:
        """Queue again what a server before this one left."""
        for row in await self.database.run(store.unfinished):
            if row["status"] == "running":
                row = await self.database.run(_requeue, row["id"], "server-restarted")
            self.metrics.accepted.inc()
            if row["status"] == "queued":
                self.add(row)
            else:
                self.metrics.finished.labels(row["status"]).inc()

    def start(self) -> None:
        """Begin to hand out jobs and to watch the workers."""
        self._tasks = [
            asyncio.create_task(self._hand_out()),
            asyncio.create_task(self._watch()),
        ]

    def add(self, row: Row) -> None:
        """Queue a stored job."""
        self.queue.waiting[row["id"]] = Job.of(row, self.predictor)
        self.wake()

    def wake(self) -> None:
        """A job or a worker is there."""
        self._wake.set()

    async def cancel(self, owner: str, identity: str) -> Row | None:
        """Cancel a job; the row as it is afterwards, none when it does not exist."""
        row = await self.database.run(store.request_cancel, owner, identity)
        if row is not None and self.queue.waiting.pop(identity, None) is not None:
            if row["status"] == "canceled":
                self.metrics.ended(row)
            elif row["status"] == "queued":
                self.add(row)
        if row is not None and row["status"] == "running":
            self._to_cancel.add(identity)
            for worker in self.pool.workers:
                if worker.job == identity:
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
            while not self.stopping:
                worker, job = self.pool.idle(), self.queue.first()
                if worker is None or job is None:
                    break
                await self._run(worker, job)

    async def _run(self, worker: Worker, job: Job) -> None:
        worker.state, worker.job = "busy", job.identity
        row = await self.database.run(lifecycle.start, job.identity)
        self.queue.waiting.pop(job.identity, None)
        if row is None:  # canceled meanwhile
            worker.state, worker.job = "idle", None
            return
        job.started = time.monotonic()
        self.queue.running[job.identity] = job
        self.metrics.started(row)
        self.log.info("job started", job=row["id"], attempt=row["attempt"], worker=worker.index)
        if worker.job != job.identity:  # the process ended while the start was stored
            await self.ended(worker, job.identity, None)
            return
        worker.send({"run": order_of(row, self.data)})
        if job.identity in self._to_cancel:  # asked before the worker knew of the job
            worker.send({"cancel": job.identity})

    async def told(self, worker: Worker, message: dict[str, Any]) -> None:
        """A worker's message; files it names are on disk already."""
        if message.get("job") != worker.job:
            return
        kind, identity = message["kind"], message["job"]
        if kind == "cache":
            self.metrics.scene_cache(worker.index, message)
        elif kind in ("done", "failed", "canceled"):
            status = {"done": "succeeded"}.get(kind, kind)
            row = await self.database.run(
                lifecycle.finish, identity, status, message.get("error"), message.get("files")
            )
            self._over(row, message.get("measured"))
            worker.job = None
            if worker.state == "busy":
                worker.state = "idle"
            self.wake()
        else:
            await self.database.run(lifecycle.tell, message)
            self.metrics.told(message)

    async def ended(self, worker: Worker, identity: str, verdict: str | None) -> None:
        """A worker's process is gone, and with it the attempt it ran."""
        if verdict is not None:
            error = job_error(verdict, VERDICTS[verdict])
            row = await self.database.run(lifecycle.finish, identity, "failed", error)
        else:
            row = await self.database.run(lifecycle.lost, identity, self.settings.max_attempts)
        if row["status"] == "queued":
            self.queue.running.pop(identity, None)
            self.metrics.requeued.labels("worker-lost").inc()
            self.log.error("job queued again: its worker died", job=identity)
            self.add(row)
        else:
            self._over(row, None)

    def _over(self, row: Row, measured: dict[str, Any] | None) -> None:
        self._to_cancel.discard(row["id"])
        job = self.queue.running.pop(row["id"], None)
        if job is not None and job.started is not None and row["status"] == "succeeded":
            self.predictor.observe(job.work, time.monotonic() - job.started)
        self.metrics.ended(row, measured)
        error = (row["error"] or {}).get("type")
        self.log.info("job ended", job=row["id"], status=row["status"], error=error)

    async def _watch(self) -> None:
        """Kill processes whose job takes too long or too much memory."""
        limit_bytes = (self.settings.worker_memory_mb or 0) * 1e6
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for worker in self.pool.workers:
                job = self.queue.running.get(worker.job or "")
                if job is None or job.started is None:
                    continue
                if time.monotonic() - job.started > self.settings.job_timeout_seconds:
                    worker.kill("timeout")
                elif limit_bytes and worker.resident_bytes() > limit_bytes:
                    worker.kill("out-of-memory")

    async def stop(self, seconds: float) -> None:
        """Let running jobs end within some seconds; what remains goes back to the queue."""
        self.stopping = True
        until = time.monotonic() + seconds
        while self.queue.running and time.monotonic() < until:
            await asyncio.sleep(0.05)
        for task in self._tasks:
            task.cancel()
        for worker in self.pool.workers:
            worker.job = None
        with suppress(asyncio.CancelledError):
            for identity in list(self.queue.running):
                await self.database.run(_requeue, identity, "server-stopping")
        await self.pool.close()


def _requeue(transaction: Any, identity: str, reason: str) -> Row:
    return lifecycle.requeue(transaction, identity, reason, died=False)
