"""Throughput of one worker with ``--batch 1`` and larger, at several numbers of waiting jobs.

    python benchmarks/serve_batch.py --jobs 4,16 --batch 1,4 --json out/serve_batch.json

Every job is a scene of its own, all are sent at once; the clock runs from the first POST to the
last result. CPU seconds are those of the worker process: other work on the machine disturbs them
less than the clock. ``lite`` takes one full step for most jobs, ``lite_walk.toml`` two full and
three partial ones. Rounds alternate between batches; the median counts.
"""

import argparse
import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from serving import FINAL, Served, cpu_seconds

HERE = Path(__file__).parent
CONFIGS = ("lite", str(HERE / "lite_walk.toml"))


def one_round(served: Served, scenes: list[int], seed: int) -> dict[str, float]:
    """Send all, wait for all."""
    (worker,) = served.workers()
    shared = calls_of(served)
    cpu, began = cpu_seconds(worker["pid"]), time.monotonic()
    identities = []
    for scene in scenes:
        body = {"scene": f"procedural:report/{scene}", "seed": seed}
        answer = served.http.post("/v1/jobs", json=body)
        assert answer.status_code == 202, answer.text
        identities.append(answer.json()["id"])
    views = [served.wait_for(partial(_ended, served, identity), 900) for identity in identities]
    seconds = time.monotonic() - began
    assert all(view["status"] == "succeeded" for view in views)
    requests, calls = (now - before for now, before in zip(calls_of(served), shared, strict=True))
    return {
        "requests_per_call": requests / max(1, calls),
        "seconds": seconds,
        "jobs_per_minute": 60 * len(scenes) / seconds,
        "cpu_seconds_per_job": (cpu_seconds(worker["pid"]) - cpu) / len(scenes),
        "frame_steps_per_job": statistics.mean(view["plan"]["frame_steps"] for view in views),
    }


def calls_of(served: Served) -> tuple[float, float]:
    """Requests in calls of the network so far, and calls."""
    lines = dict(line.rsplit(" ", 1) for line in served.http.get("/metrics").text.splitlines())
    name = "sphinx_batch_requests_"
    return float(lines[name + "sum"]), float(lines[name + "count"])


def _ended(served: Served, identity: str) -> Any:
    view = served.http.get(f"/v1/jobs/{identity}").json()
    return view if view["status"] in FINAL else None


def compared(
    config: str, batches: list[int], counts: list[int], rounds: int, place: Path
) -> list[dict[str, Any]]:
    """Rows of one pipeline."""
    servers = {}
    for batch in batches:
        folder = place / f"{Path(config).stem}-{batch}"
        folder.mkdir()
        flags = ("--threads", "1", "--batch", str(batch), "--max-wait-seconds", "10000")
        servers[batch] = Served(folder, ("--config", config, "--device", "cpu"), flags).start()
        one_round(servers[batch], [100], 0)  # what a first job loads counts for nobody
    table = []
    for count in counts:
        found: dict[int, list[dict[str, float]]] = {batch: [] for batch in batches}
        for seed in range(rounds):
            for batch, served in servers.items():
                found[batch].append(one_round(served, list(range(200, 200 + count)), seed))
        for batch, rows in found.items():
            middle = {
                name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]
            }
            table.append({"config": Path(config).stem, "jobs": count, "batch": batch, **middle})
            print(table[-1], flush=True)
    for served in servers.values():
        served.stop()
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", default="4,16")
    parser.add_argument("--batch", default="1,4")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    batches = [int(word) for word in arguments.batch.split(",")]
    counts = [int(word) for word in arguments.jobs.split(",")]
    table = []
    with tempfile.TemporaryDirectory() as place:
        for config in CONFIGS:
            table += compared(config, batches, counts, arguments.rounds, Path(place))
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
