"""Throughput of one worker with ``--batch 1`` and larger, at several numbers of waiting jobs.

    python benchmarks/serve_batch.py --jobs 4,16 --batch 1,4 --json out/serve_batch.json

Every job is a scene of its own, sent at once; measured from the first POST to the last ``done``.
CPU seconds are those of the worker process, which other work on the machine disturbs less than the
clock. Two kinds of jobs: mode ``fine``, which refines whole frames, and ``selective``, which refines
what is marked; both at the shipped quality. Rounds alternate between batches; the median counts.
"""

import argparse
import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from serving import FINAL, Asked, Served, cpu_seconds


def one_round(served: Served, jobs: list[Asked]) -> dict[str, float]:
    """Send all, wait for all."""
    (worker,) = served.workers()
    cpu, began = cpu_seconds(worker["pid"]), time.monotonic()
    identities = []
    for job in jobs:
        answer = served.http.post("/v1/jobs", json=job.body())
        assert answer.status_code == 202, answer.text
        identities.append(answer.json()["id"])
    views = [served.wait_for(partial(_ended, served, identity), 900) for identity in identities]
    assert all(view["status"] == "succeeded" for view in views)
    seconds = time.monotonic() - began
    steps = [view["plan"]["frame_steps"] for view in views]
    return {
        "seconds": seconds,
        "cpu_seconds_per_job": (cpu_seconds(worker["pid"]) - cpu) / len(jobs),
        "jobs_per_minute": 60 * len(jobs) / seconds,
        "frame_steps_per_job": statistics.mean(steps),
    }


def _ended(served: Served, identity: str) -> Any:
    view = served.http.get(f"/v1/jobs/{identity}").json()
    return view if view["status"] in FINAL else None


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", default="4,16")
    parser.add_argument("--batch", default="1,4")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    batches = [int(word) for word in arguments.batch.split(",")]
    counts = [int(word) for word in arguments.jobs.split(",")]
    config = ("--config", "lite", "--device", "cpu")
    table = []
    with tempfile.TemporaryDirectory() as place:
        servers = {}
        for batch in batches:
            folder = Path(place, str(batch))
            folder.mkdir()
            flags = ("--threads", "1", "--batch", str(batch), "--max-wait-seconds", "10000")
            servers[batch] = Served(folder, config, flags).start()
            warm = Asked("procedural:report/100", 0, "split", 1.0)
            one_round(servers[batch], [warm])
        for mode in ("fine", "selective"):
            for count in counts:
                found: dict[int, list[dict[str, float]]] = {batch: [] for batch in batches}
                for turn in range(arguments.rounds):
                    for batch in batches:
                        jobs = [
                            Asked(f"procedural:report/{200 + n}", turn, "split", 1.0, mode)
                            for n in range(count)
                        ]
                        found[batch].append(one_round(servers[batch], jobs))
                for batch in batches:
                    rows = found[batch]
                    middle = {
                        name: round(statistics.median(row[name] for row in rows), 3)
                        for name in rows[0]
                    }
                    table.append({"mode": mode, "jobs": count, "batch": batch, **middle})
                    print(table[-1], flush=True)
        for served in servers.values():
            served.stop()
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
