"""Workers as replicas on Ray Serve: each deployment is one worker, addressed by its handle.

Queue, database, events and retries stay with the server; a replica only computes. Ray is imported
when used. Source: the contract of the server, section 15.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any

from sphinx_framework.cluster import HINT, joined, require_room
from sphinx_framework.errors import ConfigError
from sphinx_framework.serve.process import Message
from sphinx_framework.serve.relay import SILENT_SECONDS, Relay
from sphinx_framework.serve.settings import Settings

CALLS = 16  # a worker's stream, and what it is told meanwhile


class Replicas:
    """The deployments of one server, and how a worker's process is started in one."""

    def __init__(self, handles: list[Any]) -> None:
        """handles: of the deployments, by the worker's index."""
        self._handles = handles

    @classmethod
    @contextlib.contextmanager
    def deployed(cls, settings: Settings) -> Iterator["Replicas"]:
        """Deploy a replica a worker, and take them down at the end.

        Raises :class:`ConfigError` where Ray is not installed, or the cluster is too small.
        """
        with joined("--engine ray") as (ray, own):
            try:
                serve: Any = import_module("ray.serve")
            except ImportError:
                raise ConfigError("--engine ray needs Ray Serve.", hint=HINT) from None
            _require_room(ray, settings)
            serve.start(proxy_location="Disabled")  # HTTP is ours
            try:
                yield cls([_deploy(serve, settings, index) for index in range(settings.workers)])
            finally:
                for index in range(settings.workers):
                    with contextlib.suppress(Exception):  # the cluster may be gone before us
                        serve.delete(_name(settings, index))
                if own:
                    serve.shutdown()

    async def start(self, index: int, environment: dict[str, str]) -> "ReplicaProcess":
        """Start a process in a worker's replica; waits while Ray replaces a dead replica."""
        return ReplicaProcess(self._handles[index], index, environment)


class ReplicaProcess:
    """A process at the other end of a handle; messages are told one after the other."""

    def __init__(self, handle: Any, index: int, environment: dict[str, str]) -> None:
        """Start the stream of what it tells."""
        self.pid: int | None = None
        self._handle = handle
        self._stream = handle.options(stream=True).run.remote(index, environment)
        self._to_tell: asyncio.Queue[Message] = asyncio.Queue()
        self._telling: asyncio.Task[None] | None = None

    def send(self, message: Message) -> None:
        """Queue a message."""
        self._to_tell.put_nowait(message)

    async def messages(self) -> AsyncIterator[Message]:
        """The stream, until the process or its replica ends."""
        with contextlib.suppress(Exception):  # Ray's errors for a lost replica have no common type
            async for message in self._stream:
                if "relay" in message:
                    self.pid = message["pid"]
                    self._telling = asyncio.create_task(self._tell())
                else:
                    yield message

    def kill(self) -> None:
        """End the process, and the stream with it."""
        self._handle.kill.remote()
        self._stream.cancel()

    async def ended(self) -> int | None:
        """Stop telling; the code stays with the replica."""
        self.kill()
        if self._telling is not None:
            self._telling.cancel()
        return None

    def resident_bytes(self) -> int:
        """Not told across machines."""
        return 0

    async def _tell(self) -> None:
        """Pass on what is queued; in silence say that the server lives."""
        while True:
            try:
                message = await asyncio.wait_for(self._to_tell.get(), SILENT_SECONDS / 6)
            except TimeoutError:
                message = {}
            with contextlib.suppress(Exception):  # who listens notices that the replica is gone
                await self._handle.tell.remote(message)


def _require_room(ray: Any, settings: Settings) -> None:
    wanted = {"CPU": float(settings.workers * settings.threads)}
    if settings.device.startswith("cuda"):
        wanted["GPU"] = float(settings.workers)
    require_room(ray, wanted, f"{settings.workers} workers of {settings.threads} threads")


def _name(settings: Settings, index: int) -> str:
    """The same after a restart: the replica of a server that died is taken over."""
    server = hashlib.sha256(str(settings.data.resolve()).encode()).hexdigest()[:12]
    return f"sphinx-{server}-{index}"


def _deploy(serve: Any, settings: Settings, index: int) -> Any:
    deployment = serve.deployment(
        num_replicas=1,
        max_ongoing_requests=CALLS,
        ray_actor_options={
            "num_cpus": settings.threads,
            "num_gpus": 1 if settings.device.startswith("cuda") else 0,
        },
        health_check_period_s=2,
        graceful_shutdown_timeout_s=1,
    )(Relay)
    return serve.run(deployment.bind(), name=_name(settings, index), route_prefix=None)
