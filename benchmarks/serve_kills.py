"""Kill servers and workers with ``kill -9`` under load; count what is lost, stuck or different.

    python benchmarks/serve_kills.py --kills 500 --state out/serve_kills --json out/serve_kills.json

Resumable: the same command goes on where an earlier one was stopped. Jobs of a few known requests
come in all the time, each with a key of its own; a connection that breaks before the answer is
tried again with the same key, as clients do. At the end every job ever accepted must have
succeeded, with events without gaps, one ``done``, and frames (fetched again from the last server)
with the sums of those that ``sphinx-nvs render`` writes with as many threads.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from serving import FINAL, Asked, Served, events_of, story_problems

MODES = ("fine", "diffusion")
SIZE = ("--set", "size=[48,48]")


def requests(count: int) -> list[Asked]:
    """Small requests that diffusion works on."""
    return [
        Asked(f"procedural:report/{number}", number, "indices:1,2", 0.95) for number in range(count)
    ]


class State:
    """What was done so far, on disk."""

    def __init__(self, folder: Path) -> None:
        """Open or begin."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "state.json"
        self.kills: dict[str, int] = {"server": 0, "worker": 0}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.seconds, self.made = 0.0, 0
        self.pending: str | None = None  # a key that was sent and not answered
        if self.path.exists():
            vars(self).update(json.loads(self.path.read_text()))

    def save(self) -> None:
        """Write all of it."""
        part = self.path.with_suffix(".part")
        kept = {name: value for name, value in vars(self).items() if name != "path"}
        part.write_text(json.dumps(kept))
        os.replace(part, self.path)


class Load:
    """Keeps a number of jobs unfinished."""

    def __init__(self, served: Served, state: State, asked: list[Asked], unfinished: int) -> None:
        """For a server that comes and goes."""
        self.served, self.state, self.asked, self.unfinished = served, state, asked, unfinished

    def step(self) -> None:
        """Look at what has ended, and send one job when there is room."""
        state = self.state
        try:
            for job in [j for j in state.jobs.values() if j["status"] not in FINAL]:
                job["status"] = self.served.http.get(f"/v1/jobs/{job['id']}").json()["status"]
            open_now = sum(job["status"] not in FINAL for job in state.jobs.values())
            if open_now >= self.unfinished and state.pending is None:
                return
            if state.pending is None:
                state.pending = f"kills-{state.made}"
                state.made += 1
                state.save()
            number = int(state.pending.rsplit("-", 1)[1]) % len(self.asked)
            answer = self.served.http.post(
                "/v1/jobs",
                json=self.asked[number].body(),
                headers={"Idempotency-Key": state.pending},
            )
        except (httpx.TransportError, ValueError):
            return  # killed in between: the same key again
        if answer.status_code in (429, 503):
            return
        assert answer.status_code in (200, 202), answer.text
        made = answer.json()
        state.jobs[state.pending] = {"id": made["id"], "asked": number, "status": made["status"]}
        state.pending = None

    def ended_count(self) -> int:
        """Jobs that are known to have ended."""
        return sum(job["status"] in FINAL for job in self.state.jobs.values())

    def all_ended(self) -> bool:
        """Look again; whether nothing is unfinished."""
        self.step()
        jobs = self.state.jobs.values()
        return self.state.pending is None and all(job["status"] in FINAL for job in jobs)


def one_kill(served: Served, state: State, load: Load, chance: random.Random) -> None:
    """Let things go on for a moment, or until a job has ended; then end a process."""
    patient, ended = chance.random() < 0.3, load.ended_count()
    until = time.monotonic() + (30.0 if patient else chance.uniform(0.0, 3.0))
    while time.monotonic() < until and not (patient and load.ended_count() > ended):
        load.step()
        time.sleep(0.02)
    if chance.random() < 0.1:
        served.kill()
        state.kills["server"] += 1
        state.save()
        served.start()
        return
    victims = served.wait_for(served.workers, 300)
    with suppress(ProcessLookupError):  # it has just been replaced
        os.kill(chance.choice(victims)["pid"], signal.SIGKILL)
        state.kills["worker"] += 1
        state.save()


def verdict(served: Served, state: State, asked: list[Asked]) -> dict[str, Any]:
    """Look at every job ever accepted."""
    wrong: Counter[str] = Counter()
    attempts = []
    for job in state.jobs.values():
        answer = served.http.get(f"/v1/jobs/{job['id']}")
        if answer.status_code != 200:
            wrong["lost"] += 1
            continue
        view = answer.json()
        attempts.append(view["attempt"])
        if view["status"] != "succeeded":
            wrong["stuck" if view["status"] not in FINAL else view["status"]] += 1
            continue
        events = events_of(served.http.get(view["links"]["events"]).text)
        for problem in story_problems(events):
            wrong[problem] += 1
        told = {d["url"].rsplit("files/", 1)[1]: d["sha256"] for _, n, d in events if n == "frame"}
        expected = served.rendered(asked[job["asked"]])
        got = {}
        for name in expected:
            data = served.http.get(f"/v1/jobs/{job['id']}/files/{name}").content
            got[name] = _sum(data)
        if not got == told == expected:
            wrong["other bytes than render"] += 1
    listed, after = set(), ""
    while True:
        page = served.http.get("/v1/jobs", params={"limit": 100, **after_of(after)}).json()
        listed |= {job["id"] for job in page["data"]}
        if not page["has_more"]:
            break
        after = page["data"][-1]["id"]
    extra = listed - {job["id"] for job in state.jobs.values()}
    return {
        "kills": state.kills,
        "jobs_accepted": len(state.jobs),
        "lost": wrong.pop("lost", 0),
        "stuck": wrong.pop("stuck", 0),
        "other_bytes": wrong.pop("other bytes than render", 0),
        "duplicated": len(extra),
        "otherwise_wrong": dict(wrong),
        "most_attempts": max(attempts, default=0),
        "interrupted_jobs": sum(attempt > 1 for attempt in attempts),
        "minutes": round(state.seconds / 60, 1),
    }


def after_of(identity: str) -> dict[str, str]:
    """The query of the next page."""
    return {"after": identity} if identity else {}


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> int:
    """Kill, wait for the rest, judge; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--state", type=Path, default=Path("out/serve_kills"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--unfinished", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    state = State(arguments.state)
    config = ("--config", "lite", "--device", "cpu", *SIZE)
    # A job that is killed again and again must go on here; --max-attempts has tests of its own.
    flags = ("--workers", "2", "--threads", "1", "--max-attempts", "1000", "--keep-hours", "1000")
    served = Served(arguments.state, config, flags)
    asked = requests(6)
    for request in asked:
        served.rendered(request)
    chance = random.Random(f"{arguments.seed} {sum(state.kills.values())}")
    load = Load(served.start(), state, asked, arguments.unfinished)
    while (done := sum(state.kills.values())) < arguments.kills:
        began = time.monotonic()
        one_kill(served, state, load, chance)
        state.seconds += time.monotonic() - began
        if (done + 1) % 10 == 0:
            finished = sum(job["status"] in FINAL for job in state.jobs.values())
            print(f"{done + 1} kills, {finished} of {len(state.jobs)} jobs ended", flush=True)
    load.unfinished = 0
    served.wait_for(load.all_ended, 900)
    state.save()
    found = verdict(served, state, asked)
    served.stop()
    print(json.dumps(found, indent=1))
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    keys = ("lost", "stuck", "other_bytes", "duplicated", "otherwise_wrong")
    return int(any(found[key] for key in keys))


if __name__ == "__main__":
    sys.exit(main())
