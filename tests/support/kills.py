"""Run a command of the installed framework many times, and kill it at random moments."""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Fault:
    """What was wrong after a kill, and how many runs were stopped before their end."""

    stopped: int = 0
    found: list[str] = field(default_factory=list)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def visible(place: Path) -> dict[str, bytes]:
    """The files under final names: those that are not hidden, nor in a hidden folder."""
    there = snapshot(place) if place.is_dir() else {}
    if place.is_file():
        there = {place.name: place.read_bytes()}
    return {k: v for k, v in there.items() if not any(p.startswith(".") for p in k.split("/"))}


def kill_at_random(
    command: Sequence[str],
    source: Path,
    out: Path,
    times: int,
    *,
    seed: int = 0,
    environment: dict[str, str] | None = None,
    begun: Callable[[], bool] = lambda: True,
) -> Fault:
    """Kill ``command`` (which reads ``source`` and writes ``out``) and look at what it left.

    A whole run tells how long it takes, and which files it writes; the others are killed after a
    part of that, but not before they have ``begun``. After every kill, no file of the
    source may differ, and a file under a final name must be as a whole run leaves it; at the end
    the command must run again.
    """
    fault, generator = Fault(), random.Random(seed)
    before = snapshot(source)
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    took = time.monotonic() - started
    whole = visible(out)
    for _ in range(times):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        )
        try:
            process.wait(generator.uniform(0.3, 1.05) * took)
        except subprocess.TimeoutExpired:
            while not begun() and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
            fault.stopped += 1
        if snapshot(source) != before:
            fault.found.append("a file of the source changed")
            break
        left = visible(out)
        fault.found += [
            f"{name} is left, which no whole run writes" for name in left.keys() - whole
        ]
        fault.found += [
            f"{name} has {len(left[name])} bytes of {len(whole[name])}"
            for name in left.keys() & whole
            if _cut(left[name], whole[name])
        ]
    again = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if again.returncode:
        fault.found.append(f"the next run ended with {again.returncode}: {again.stderr}")
    if visible(out).keys() != whole.keys():
        fault.found.append("the next run left other files than the first")
    return fault


def _cut(left: bytes, whole: bytes) -> bool:
    """Whether a file is the beginning of another, or empty where that is not."""
    return len(left) < len(whole) and whole.startswith(left)
