"""Worker processes: started, listened to, watched, killed, and started again."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Literal

from sphinx_framework.serve.log import Log
from sphinx_framework.serve.process import Message, Process, Start
from sphinx_framework.serve.queue import Job
from sphinx_framework.serve.watched import watch

State = Literal["starting", "idle", "busy"]
LONGEST_PAUSE = 30.0
SCENES_KNOWN = 64


class Worker:
    """One place for a process; the process in it may be replaced.

    preparing, refining: jobs of which the process runs a stage. stepping: it told a denoising step
    since it got its last task. scenes: ids of the scenes it had last. turn: jobs whose work goes
    on now, since the moment ``turn_since``.
    """

    def __init__(self, index: int, pool: "Pool") -> None:
        """Nothing runs before :meth:`keep_running`."""
        self.index, self.pool = index, pool
        self.process: Process | None = None
        self._forget()

    def _forget(self) -> None:
        """A new process: nothing runs in it, nothing is known there."""
        self.ready = False
        self.verdict: tuple[str, str] | None = None
        self.preparing: Job | None = None
        self.refining: dict[str, Job] = {}
        self.stepping = False
        self.scenes: deque[str] = deque(maxlen=SCENES_KNOWN)
        self.turn: list[Job] = []
        self.turn_since = time.monotonic()

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self.process.pid if self.process is not None else None

    @property
    def jobs(self) -> dict[str, Job]:
        """Every job that the process has."""
        own = dict(self.refining)
        if self.preparing is not None:
            own[self.preparing.identity] = self.preparing
        return own

    @property
    def state(self) -> State:
        """As ``/readyz`` shows it."""
        if not self.ready:
            return "starting"
        return "busy" if self.jobs else "idle"

    def charge(self, turn: list[Job] | None = None) -> None:
        """Book the time since the last call to whose turn it was; then it is the turn of others."""
        now = time.monotonic()
        for job in self.turn:
            job.spent += now - self.turn_since
            job.cost += (now - self.turn_since) / len(self.turn)
        self.turn_since = now
        if turn is not None:
            self.turn = turn

    def drop(self, identity: str) -> None:
        """A stage of a job is over."""
        self.charge()
        self.refining.pop(identity, None)
        if self.preparing is not None and self.preparing.identity == identity:
            self.preparing = None
        self.turn = [job for job in self.turn if job.identity != identity]

    def abandon(self) -> None:
        """What the process still tells does not matter any more."""
        self.preparing, self.refining, self.turn = None, {}, []

    async def keep_running(self) -> None:
        """Run processes one after the other until the pool closes."""
        failures = 0
        while True:
            self._forget()
            try:
                was_ready = await self._one_process()
            except OSError as error:
                was_ready = self._not_started(error)
            self.process = None
            if self.pool.closing:
                return
            self.pool.restarts()
            failures = 0 if was_ready else failures + 1
            if failures:
                await asyncio.sleep(min(LONGEST_PAUSE, 0.5 * 2**failures))

    def _not_started(self, error: OSError) -> bool:
        """The machine has no memory, files or processes left at the moment; it may later."""
        self.pool.log.error("worker cannot start", reason=type(error).__name__)
        return False

    async def _one_process(self) -> bool:
        self.process = await self.pool.start_process(self.index, self.pool.environment)
        self.send(self.pool.setup)
        was_ready = False
        with suppress(ValueError):  # what no worker of ours tells ends the process
            async for message in self.process.messages():
                if "ready" in message:
                    was_ready = self.ready = True
                    self.pool.was_ready = True
                    self.pool.ready(self, message)
                elif "fatal" in message:
                    self.pool.fatal(message)
                else:
                    await self.pool.told(self, message)
        code = await self.process.ended()
        self.charge()
        jobs, turn, verdict = self.jobs, self.turn, self.verdict
        self._forget()
        self.pool.log.info("worker ended", worker=self.index, code=code)
        if jobs:
            await self.pool.ended(list(jobs.values()), turn, verdict)
        return was_ready

    def send(self, message: Message) -> None:
        """Send a message; a process that is gone will be noticed by its reader."""
        if self.process is not None:
            self.process.send(message)

    def kill(self, verdict: tuple[str, str] | None = None) -> None:
        """End the process at once; ``verdict``: a job, and the type of its error."""
        self.verdict = self.verdict or verdict
        if self.process is not None:
            self.process.kill()

    def resident_bytes(self) -> int:
        """Memory of the process, 0 where it cannot be told."""
        return 0 if self.process is None else self.process.resident_bytes()


class Pool:
    """All workers of a server; what they tell goes to the callbacks."""

    def __init__(
        self, count: int, setup: Message, threads: int, log: Log, start_process: Start
    ) -> None:
        """Describe the workers; :meth:`start` starts them, each by ``start_process``."""
        self.setup, self.log, self.start_process = setup, log, start_process
        self.environment = {
            name: str(threads)
            for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        }
        # Waiting threads of OpenMP would burn the cores that other workers need.
        self.environment["OMP_WAIT_POLICY"] = "PASSIVE"
        self.workers = [Worker(index, self) for index in range(count)]
        self.closing = False
        self.was_ready = False
        self.restarts: Callable[[], None] = lambda: None
        self.ready: Callable[[Worker, dict[str, Any]], None]
        self.fatal: Callable[[dict[str, Any]], None]
        self.failed: Callable[[BaseException], None]
        self.told: Callable[[Worker, dict[str, Any]], Awaitable[None]]
        self.ended: Callable[[list[Job], list[Job], tuple[str, str] | None], Awaitable[None]]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start every worker."""
        self._tasks = [asyncio.create_task(worker.keep_running()) for worker in self.workers]
        for task in self._tasks:  # without it a worker would look ready and answer nobody
            watch(task, self.failed)

    def any_ready(self) -> bool:
        """Whether any worker has its models."""
        return any(worker.ready for worker in self.workers)

    async def close(self) -> None:
        """Kill every process and wait for its end."""
        self.closing = True
        for worker in self.workers:
            worker.kill()
        for task in self._tasks:
            if any(worker.process is not None for worker in self.workers):
                await asyncio.wait({task}, timeout=5)
            task.cancel()
