"""Workers as replicas on Ray Serve: each deployment is one worker, addressed by its handle.

Queue, database, events and retries stay with the server; a replica only computes. Ray is imported
here alone. Source: the contract of the server, section 15.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

from sphinx_framework.errors import ConfigError
from sphinx_framework.serve.process import Message
from sphinx_framework.serve.relay import SILENT_SECONDS, Relay
from sphinx_framework.serve.settings import Settings

STORE_BYTES = 100_000_000  # messages are small; files go through the data directory
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
        try:
            import ray
            from ray import serve
        except ImportError:
            raise ConfigError(
                "--engine ray needs Ray Serve, which is not installed.",
                hint="pip install 'sphinx-framework[ray]'",
            ) from None
        own = _join(ray)
        try:
            _require_room(ray, settings)
            serve.start(proxy_location="Disabled")  # HTTP is ours
            yield cls([_deploy(serve, settings, index) for index in range(settings.workers)])
        finally:
            for index in range(settings.workers):
                with contextlib.suppress(Exception):  # the cluster may be gone before us
                    serve.delete(_name(settings, index))
            if own:
                serve.shutdown()
            ray.shutdown()

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


def _join(ray: Any) -> bool:
    """Connect to the cluster of ``RAY_ADDRESS``, or start one here; whether it is our own."""
    quiet = {"include_dashboard": False, "object_store_memory": STORE_BYTES}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    theirs = bool(os.environ.get("RAY_ADDRESS"))
    try:
        ray.init(log_to_driver=True, logging_level="warning", **({} if theirs else quiet))
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"the Ray cluster cannot be joined or started: {error}",
            hint="Check RAY_ADDRESS; without it a cluster starts on this machine.",
        ) from None
    return not theirs


def _require_room(ray: Any, settings: Settings) -> None:
    """Every replica must find its cores and device, or Ray would wait for ever."""
    there = ray.cluster_resources()
    wanted = {"CPU": float(settings.workers * settings.threads)}
    if settings.device.startswith("cuda"):
        wanted["GPU"] = float(settings.workers)
    for kind, number in wanted.items():
        if there.get(kind, 0.0) < number:
            raise ConfigError(
                f"{settings.workers} workers of {settings.threads} threads need {number:g} {kind}; "
                f"the Ray cluster has {there.get(kind, 0.0):g}.",
                hint="Use fewer --workers or --threads, or a larger cluster.",
            )


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
