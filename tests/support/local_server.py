"""A server without worker processes, in this one: its routes, books and files, and jobs by hand."""

import asyncio
import io
import json
import shutil
import time
import zipfile
from pathlib import Path

import httpx
from photo_scenes import write_photo_scene
from sqlalchemy import update

from sphinx_framework.registry import Registry
from sphinx_framework.serve import lifecycle, store
from sphinx_framework.serve.datadir import DataDirectory
from sphinx_framework.serve.log import Log
from sphinx_framework.serve.orders import pipeline_digest
from sphinx_framework.serve.process import LocalProcess
from sphinx_framework.serve.run import _Server
from sphinx_framework.serve.settings import Settings
from sphinx_framework.serve.tables import jobs
from sphinx_framework.testing.pipeline import fake_config, fake_specs


def scene_zip(folder: Path, **extra: bytes) -> bytes:
    """A posed scene of small photos as an archive."""
    scene = write_photo_scene(folder / "scene")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(scene.rglob("*.*")):
            archive.writestr(path.relative_to(scene).as_posix(), path.read_bytes())
        for name, data in extra.items():
            archive.writestr(name, data)
    shutil.rmtree(scene)
    return out.getvalue()


class LocalServer:
    """Requests go to the application directly; nothing is computed, :meth:`finish` pretends."""

    def __init__(self, folder: Path, *, specs=(), config=None, **settings):
        self.folder = folder
        self.runner = asyncio.Runner()
        self.settings = Settings(data=folder / "data", **settings)
        registry = Registry.from_specs([*fake_specs(), *specs])
        self.server = self.runner.run(self._made(config or fake_config(), registry))
        self.server.pool.was_ready = True
        self.scene = scene_zip(folder)

    async def _made(self, config, registry):
        data, log = DataDirectory(self.settings.data), Log(as_json=False)
        start = LocalProcess.start  # never called: the pool is not started
        made = _Server(self.settings, config, registry, (), None, data, log, start)
        await made.retention.start_clean()
        await made.dispatcher.recover(pipeline_digest(made.config))
        return made

    def close(self):
        self.server.database.close()
        self.server.data.close()
        self.runner.close()

    def call(self, method, path, **options):
        async def once():
            transport = httpx.ASGITransport(app=self.server.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                return await http.request(method, path, **options)

        return self.runner.run(once())

    def post(self, request=None, scene=None, **headers):
        files = {"scene": ("scene.zip", self.scene if scene is None else scene)}
        data = {"request": json.dumps(request or {})}
        return self.call("POST", "/v1/jobs", files=files, data=data, headers=headers)

    def accepted(self, request=None, **headers):
        answer = self.post(request, **headers)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def status_of(self, identity):
        answer = self.call("GET", f"/v1/jobs/{identity}")
        return answer.json()["status"] if answer.status_code == 200 else answer.status_code

    def transact(self, work, *arguments):
        return self.runner.run(self.server.database.run(work, *arguments))

    def write(self, identity, size):
        """A file of the job's, and the server's count of bytes anew."""
        files = self.server.data.job(identity) / "files"
        files.mkdir(exist_ok=True)
        (files / "video.mp4").write_bytes(bytes(size))
        self.runner.run(self.server.retention._measure())

    def finish(self, identity, *, hours_ago=0.0):
        """As if a worker had done it, so long ago."""
        self.transact(lifecycle.start, identity)
        self.transact(lifecycle.finish, identity, "succeeded")
        self.server.dispatcher.queue.remove(identity)
        moment = time.time() - 3600 * hours_ago
        change = update(jobs).where(jobs.c.id == identity).values(finished=moment)
        self.transact(lambda transaction: transaction.connection.execute(change) and None)

    def sweep(self):
        self.runner.run(self.server.retention.sweep())

    def known(self):
        return {row["id"] for row in self.transact(store.unfinished)}
