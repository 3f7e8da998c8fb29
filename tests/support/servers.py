"""The real ``sphinx-nvs serve`` in a process of its own, on a pipeline of fakes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
from commands import FAKES, PIPELINE
from distributions import PluginFolder
from photo_scenes import write_photo_scene

LIMIT = 180.0  # a start imports torch twice, on a machine that may be busy
# What tests ask with plain httpx functions waits as long: their 5 s are no promise of the server.
for _kind in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _kind, LIMIT)


class FakeServer:
    """A server that may be started, stopped and killed; it dies with the test run.

    Each start takes a free port: one that was chosen before may be somebody else's by then.
    """

    def __init__(self, folder: Path, *flags: str, plugin: str = FAKES) -> None:
        self.folder, self.flags = folder, flags
        self.config = folder / "fakes.toml"
        self.config.write_text(PIPELINE)
        self.scene = write_photo_scene(folder / "scene")
        self.plugins = PluginFolder(folder / "site")
        self.plugins.install("fakes", plugin)
        self.url = ""
        self.log = folder / "log.txt"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(self.plugins.path),
            "SPHINX_FRAMEWORK_PLUGINS": "fakes",
            "OMP_NUM_THREADS": "1",
        }

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "sphinx_framework", *map(str, arguments)]

    def start(self) -> "FakeServer":
        data = self.folder / "data"
        arguments = ("--config", self.config, "--port", 0, "--data", data, "--threads", 1)
        with open(self.log, "ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(
                self.command("serve", *arguments, *self.flags),
                stdout=log,
                stderr=log,
                env=self.environment,
            )
        self.url = self.wait_for(lambda: self._listens(begin))
        self.wait_for(lambda: self._listens(begin) and self._ready())
        return self

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def _listens(self, begin: int) -> str:
        """The address that this start said."""
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        said = re.search(rb"^listening on (http://\S+)$", self.log.read_bytes()[begin:], re.M)
        return said[1].decode() if said else ""

    def _ready(self) -> bool:
        try:
            return httpx.get(self.url + "/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def wait_for(self, check):
        end = time.monotonic() + LIMIT
        while not (value := check()):
            assert time.monotonic() < end, self.log.read_text()[-2000:]
            time.sleep(0.02)
        return value

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(LIMIT)

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            env={**self.environment, "SPHINX_NVS_URL": self.url},
            check=False,
        )

    def post(self, request=None, **headers):
        """Submit the scene folder as an archive."""
        from sphinx_framework.client.pack import packed

        data = {"request": json.dumps(request or {})}
        with packed(self.scene) as archive:
            files = {"scene": ("scene.zip", archive)}
            return httpx.post(self.url + "/v1/jobs", files=files, data=data, headers=headers)

    def job(self, identity: str) -> dict:
        return httpx.get(f"{self.url}/v1/jobs/{identity}").json()

    def ended(self, identity: str) -> dict:
        final = ("succeeded", "failed", "canceled")
        return self.wait_for(lambda: (v := self.job(identity))["status"] in final and v)

    def events(self, identity: str, after: int = 0) -> list[tuple[int, str, dict]]:
        from sphinx_framework.client import Client

        with Client(self.url) as client:
            job = client.job(identity)
            return [(event.number, event.name, event.data) for event in job.events(after)]
