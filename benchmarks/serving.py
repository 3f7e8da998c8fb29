"""What the benchmarks of ``serve`` share: a server of their own, and what ``render`` writes."""

import ctypes
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

START_SECONDS = 300.0
FINAL = ("succeeded", "failed", "canceled")
TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Asked:
    """A request that servers and ``render`` understand alike."""

    scene: str
    seed: int
    targets: str
    quality: float
    mode: str = "selective"

    def body(self) -> dict[str, Any]:
        """For ``POST /v1/jobs``."""
        return dict(vars(self))


class Served:
    """``sphinx-nvs serve`` in a process of its own; it dies with this one."""

    def __init__(self, folder: Path, config: Sequence[str], flags: Sequence[str]) -> None:
        """config: flags that ``render`` takes too. flags: those of ``serve`` alone."""
        self.folder, self.config, self.flags = folder, tuple(config), tuple(flags)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=60)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Served":
        """Start, and wait until a worker has its models."""
        own = ("--port", str(self.port), "--data", str(self.folder / "data"), *self.flags)
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [*command(), "serve", *self.config, *own],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                preexec_fn=_die_with_parent,
            )
        self.wait_for(lambda: bool(self.workers()), START_SECONDS)
        return self

    def workers(self) -> list[dict[str, Any]]:
        """Workers that have their models; none while the server cannot be reached."""
        assert self.process is not None
        assert self.process.poll() is None, "the server has ended"
        try:
            found = self.http.get("/readyz").json()["workers"]
        except httpx.TransportError:
            return []
        return [worker for worker in found if worker["state"] != "starting"]

    def kill(self) -> None:
        """``kill -9``."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, twice."""
        assert self.process is not None
        for _ in range(2):
            self.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        self.process.wait(60)

    def wait_for(self, check: Any, seconds: float) -> Any:
        """Poll until ``check`` returns something true."""
        until = time.monotonic() + seconds
        while not (value := check()):
            assert time.monotonic() < until, "waited too long"
            time.sleep(0.05)
        return value

    def resident_mb(self) -> dict[str, float]:
        """Resident memory of the server, and of its largest worker."""
        assert self.process is not None
        sizes = [_resident(worker["pid"]) for worker in self.workers()]
        return {"server": _resident(self.process.pid), "worker": max(sizes, default=0.0)}

    def server_cpu_seconds(self) -> float:
        """CPU time of the server's own process so far, without its workers."""
        assert self.process is not None
        return cpu_seconds(self.process.pid)

    def rendered(self, asked: Asked) -> dict[str, str]:
        """Names and sums of the frames that ``sphinx-nvs render`` writes, with one thread."""
        digest = hashlib.sha256(repr((self.config, asked)).encode()).hexdigest()[:16]
        out = self.folder / "rendered" / digest
        if not (out / "report.json").exists():
            words = [f"--{name}={value}" for name, value in asked.body().items()]
            given = [*self.config, "--set", "engine.threads=1", "--out", str(out)]
            subprocess.run(
                [*command(), "render", *given, *words], check=True, stdout=subprocess.DEVNULL
            )
        return {
            f"frames/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((out / "frames").glob("*.png"))
        }


def command() -> list[str]:
    """``sphinx-nvs`` of this environment."""
    return [sys.executable, "-m", "sphinx_framework"]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def events_of(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    """Number, name and data of every event of a stream."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line[1:])
        if "id" in fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


def story_problems(events: list[tuple[int, str, dict[str, Any]]]) -> list[str]:
    """What is wrong with all events of a finished job."""
    wrong = []
    if [number for number, _, _ in events] != list(range(1, len(events) + 1)):
        wrong.append("ids have gaps")
    if [name for _, name, _ in events].count("done") != 1 or events[-1][1] != "done":
        wrong.append("not exactly one done, and last")
    return wrong


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which a share of all lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def _resident(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
