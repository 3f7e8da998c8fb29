"""Starting and stopping the server: everything wrong is found before a model is loaded."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

import uvicorn

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.components import (
    choose_device,
    pipeline_licences,
    refuse_non_commercial,
)
from sphinx_framework.engine.fitting import fitted
from sphinx_framework.errors import ConfigError
from sphinx_framework.registry import Registry
from sphinx_framework.serve.acceptance import Acceptance
from sphinx_framework.serve.app import build_app
from sphinx_framework.serve.datadir import DataDirectory
from sphinx_framework.serve.dispatcher import Dispatcher
from sphinx_framework.serve.guard import Guard
from sphinx_framework.serve.home import open_database
from sphinx_framework.serve.http import limited_protocol
from sphinx_framework.serve.hub import Hub
from sphinx_framework.serve.keys import ApiKeys
from sphinx_framework.serve.log import Log
from sphinx_framework.serve.metrics import Metrics
from sphinx_framework.serve.orders import pipeline_digest
from sphinx_framework.serve.pool import Pool, Worker
from sphinx_framework.serve.process import LocalProcess, Start
from sphinx_framework.serve.retention import Retention
from sphinx_framework.serve.scene_views import SceneViews
from sphinx_framework.serve.scenes import Scenes
from sphinx_framework.serve.service import Service
from sphinx_framework.serve.settings import LOOPBACK, Settings

STOPPED, FAILED, BAD_INPUT = 0, 1, 2
BACKLOG = 2048


def serve(settings: Settings, config: PipelineConfig, *, debug: bool = False) -> int:
    """Serve until a signal; the exit code. Raises ``InputError`` for what the user can mend."""
    registry = Registry.from_entry_points()
    licences = pipeline_licences(config, registry)
    if settings.licence_policy == "permissive":
        refuse_non_commercial(licences)
    config.validate_options(registry, config.name)
    fitted(config, registry, choose_device(settings.device), config.name)
    keys = None if settings.api_keys is None else ApiKeys(settings.api_keys)
    if settings.host not in LOOPBACK and keys is None and not settings.insecure:
        raise ConfigError(
            f"--host {settings.host} is open to the network, and there are no API keys.",
            hint="Add --api-keys FILE (see --make-key), or --insecure if that is wanted.",
        )
    listener = _listener(settings)
    log = Log(as_json=settings.json_logs, debug=debug)
    try:
        data = DataDirectory(settings.data)
        with _processes(settings) as start:
            server = _Server(settings, config, registry, licences, keys, data, log, start)
            with log.of_libraries():
                return asyncio.run(server.run(listener))
    finally:
        listener.close()


@contextlib.contextmanager
def _processes(settings: Settings) -> Iterator[Start]:
    """Where workers run: here, or as replicas on a cluster."""
    if settings.engine == "local":
        any_gpu = settings.device in ("auto", "cuda")
        yield LocalProcess.start_on_own_gpu if any_gpu else LocalProcess.start
        return
    from sphinx_framework.serve.replicas import Replicas

    with Replicas.deployed(settings) as replicas:
        yield replicas.start


def _listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)  # a port is taken only now: two may bind one
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}.",
            hint="Choose another --port; 0 takes a free one.",
        ) from None
    return listener


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Server:
    """One run, from the first worker to the last answer."""

    def __init__(
        self,
        settings: Settings,
        config: PipelineConfig,
        registry: Registry,
        licences: tuple[dict[str, Any], ...],
        keys: ApiKeys | None,
        data: DataDirectory,
        log: Log,
        start_process: Start,
    ) -> None:
        self.settings, self.config, self.log, self.data = settings, config, log, data
        self._keys = keys
        setup = {
            "config": config.model_dump(mode="json"),
            "device": settings.device,
            "threads": settings.threads,
            "licence_policy": settings.licence_policy,
            "cache_mb": settings.cache_mb,
            "batch": settings.batch,
        }
        self.hub, self.metrics = Hub(), Metrics()
        self.database = open_database(settings, data, self.hub.publish)
        self.pool = Pool(settings.workers, setup, settings.threads, log, start_process)
        self.dispatcher = Dispatcher(settings, data, self.database, self.pool, self.metrics, log)
        scenes = Scenes(settings, data, config, registry)
        self.retention = Retention(self.dispatcher, scenes)
        self.acceptance = Acceptance(self.dispatcher, scenes, self.retention)
        self.pool.ready, self.pool.fatal = self._on_ready, self._on_fatal
        self.dispatcher.failed = self.pool.failed = self._on_failure
        self.database.trouble = lambda reason: log.error("database: trying again", reason=reason)
        self.database.doubt = self._on_doubt
        service = Service(
            settings=settings,
            config=config,
            licences=licences,
            data=data,
            database=self.database,
            hub=self.hub,
            pool=self.pool,
            metrics=self.metrics,
            dispatcher=self.dispatcher,
            acceptance=self.acceptance,
            scene_views=SceneViews(scenes),
            retention=self.retention,
            keys=keys,
        )
        app = build_app(service, log)
        self.app = Guard(app, settings, keys, self.metrics, log)
        self.exit_code = STOPPED
        self.url = ""
        self._said = False
        self._signals = 0
        self._ending = asyncio.Event()
        self._now = asyncio.Event()

    async def run(self, listener: socket.socket) -> int:
        """Serve on an open socket until told to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        port = listener.getsockname()[1]
        self.url = f"http://{self.settings.url_host}:{port}"
        await self.retention.start_clean()
        await self.dispatcher.recover(pipeline_digest(self.config))
        self.pool.start()
        self.dispatcher.start()
        web = _Uvicorn(
            uvicorn.Config(
                self.app,
                http=limited_protocol(self.settings.header_seconds, self.settings.body_seconds),
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=5,
                h11_max_incomplete_event_size=1 << 15,
            )
        )
        serving = asyncio.create_task(web.serve([listener]))
        sweeping = asyncio.create_task(self.retention.run())
        await asyncio.wait(
            {serving, asyncio.create_task(self._ending.wait())},
            return_when=asyncio.FIRST_COMPLETED,
        )
        sweeping.cancel()
        if serving.done():
            self._on_failure(serving.exception() or RuntimeError("nothing serves any more"))
        await self._stop()
        web.should_exit = True
        await asyncio.wait({serving}, timeout=10)
        self.database.close()
        self.data.close()
        return self.exit_code

    async def _stop(self) -> None:
        seconds = self.settings.stop_seconds if self.exit_code == STOPPED else 0
        self.log.info("stopping", running=len(self.dispatcher.queue.running))
        self.dispatcher.stopping = True
        stopping = asyncio.create_task(self.dispatcher.stop(seconds))
        at_once = asyncio.create_task(self._now.wait())
        await asyncio.wait({stopping, at_once}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            stopping.cancel()
            await self.dispatcher.stop(0)
        self.hub.close()

    def _on_signal(self) -> None:
        self._signals += 1
        self._ending.set()
        if self._signals > 1:
            self._now.set()

    def _on_hangup(self) -> None:
        """Read the keys again; a terminal that is gone is no reason to stop."""
        if self._keys is None:
            self.log.info("hangup ignored", reason="there is no --api-keys file to read again")
            return
        try:
            self._keys.reload()
        except ConfigError as error:
            self.log.info("keys not read again", reason=error.message)
        else:
            self.log.info("keys read again")

    def _on_ready(self, worker: Worker, message: dict[str, Any]) -> None:
        self.acceptance.side = message["ready"]["side"]
        self.log.info(
            "worker ready", worker=worker.index, pid=worker.pid, seconds=message["seconds"]
        )
        self.dispatcher.wake()
        if not self._said:
            self._said = True
            line = f"listening on {self.url}"
            if self.settings.json_logs:
                line = json.dumps(
                    {"url": self.url, "pid": os.getpid(), "data": str(self.settings.data)}
                )
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def _on_failure(self, error: BaseException) -> None:
        """What should never happen: what is stored is right, and the next start goes on from it."""
        self.log.error("the server ends: it failed", reason=repr(error)[:300])
        self.exit_code = FAILED
        self._ending.set()

    def _on_doubt(self) -> None:
        if not self._ending.is_set():
            self.log.error("the server ends: the database went away during a commit")
            self.exit_code = FAILED
            self._ending.set()

    def _on_fatal(self, message: dict[str, Any]) -> None:
        """A worker cannot build its models; before the first one could, that ends the server."""
        self.log.error("worker cannot start", reason=message["fatal"], hint=message["hint"])
        if not self._said:
            self.exit_code = BAD_INPUT if message["input"] else FAILED
            self._ending.set()
