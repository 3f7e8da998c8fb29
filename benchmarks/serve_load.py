"""Many clients at once against a few workers; what is lost, doubled, and how long they wait.

    python benchmarks/serve_load.py --clients 200 --workers 2 --json out/serve_load.json

Every client sends one job with a key of its own, comes back after ``Retry-After`` where it is
refused, follows the events, and fetches its frames, which must have the sums of ``sphinx-nvs
render``. Seconds count from the client's first try; ``accepted`` ones from the 202.
"""

import argparse
import asyncio
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from serving import Asked, Served, events_of, quantile, story_problems

SIZE = ("--set", "size=[48,48]")


def requests(count: int) -> list[Asked]:
    """Small requests of one denoising step."""
    return [
        Asked(f"procedural:report/{number}", number, "indices:1,2", 1.0, "fine")
        for number in range(count)
    ]


class Client:
    """One caller, from its first try to its frames."""

    def __init__(self, number: int, asked: Asked) -> None:
        """With a request."""
        self.number, self.asked = number, asked
        self.identity = ""
        self.refusals = 0
        self.seconds: dict[str, float] = {}
        self.wrong: list[str] = []

    async def run(self, http: httpx.AsyncClient, expected: dict[str, str]) -> None:
        """Submit, follow, fetch."""
        began = time.monotonic()
        await self._submit(http)
        accepted = time.monotonic()
        self.seconds["wait_for_acceptance"] = accepted - began
        text = ""
        async with http.stream("GET", f"/v1/jobs/{self.identity}/events") as stream:
            async for line in stream.aiter_lines():
                text += line + "\n"
                if line == "event: preview" and "first_preview" not in self.seconds:
                    self.seconds["first_preview"] = time.monotonic() - began
                    self.seconds["accepted_first_preview"] = time.monotonic() - accepted
        self.seconds["whole_job"] = time.monotonic() - began
        self.seconds["accepted_whole_job"] = time.monotonic() - accepted
        events = events_of(text)
        self.wrong += story_problems(events)
        if events[-1][2].get("status") != "succeeded":
            self.wrong.append(f"ended {events[-1][2].get('status')}")
            return
        for name, digest in expected.items():
            data = (await http.get(f"/v1/jobs/{self.identity}/files/{name}")).content
            if hashlib.sha256(data).hexdigest() != digest:
                self.wrong.append("other bytes than render")

    async def _submit(self, http: httpx.AsyncClient) -> None:
        key = {"Idempotency-Key": f"load-{self.number}"}
        while True:
            answer = await http.post("/v1/jobs", json=self.asked.body(), headers=key)
            if answer.status_code not in (429, 503):
                break
            self.refusals += 1
            await asyncio.sleep(float(answer.headers["Retry-After"]))
        assert answer.status_code in (200, 202), answer.text
        self.identity = answer.json()["id"]


async def watched(served: Served, sizes: list[dict[str, float]]) -> None:
    """Memory, every second."""
    while True:
        sizes.append(await asyncio.to_thread(served.resident_mb))
        await asyncio.sleep(1)


async def load(served: Served, clients: list[Client], expected: list[dict[str, str]]) -> Any:
    """All clients at once; memory meanwhile."""
    sizes: list[dict[str, float]] = []
    watching = asyncio.create_task(watched(served, sizes))
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=served.url, timeout=3600, limits=limits) as http:
        await asyncio.gather(
            *(client.run(http, expected[client.number % len(expected)]) for client in clients)
        )
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    return sizes


def main() -> int:
    """Run, judge, report; 1 when anything was lost, doubled or different."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--max-queue", type=int, default=100)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    asked = requests(8)
    with tempfile.TemporaryDirectory() as place:
        config = ("--config", "lite", "--device", "cpu", *SIZE)
        flags = ("--workers", arguments.workers, "--threads", 1, "--max-queue", arguments.max_queue)
        served = Served(Path(place), config, tuple(map(str, flags)))
        expected = [served.rendered(request) for request in asked]
        served.start()
        before, cpu = served.resident_mb(), served.server_cpu_seconds()
        clients = [Client(n, asked[n % len(asked)]) for n in range(arguments.clients)]
        began = time.monotonic()
        sizes = asyncio.run(load(served, clients, expected))
        seconds, cpu = time.monotonic() - began, served.server_cpu_seconds() - cpu
        jobs, page = set(), {"has_more": True, "data": [{"id": None}]}
        while page["has_more"]:
            after = {"after": page["data"][-1]["id"]} if jobs else {}
            page = served.http.get("/v1/jobs", params={"limit": 100, **after}).json()
            jobs |= {job["id"] for job in page["data"]}
        served.stop()
    own = {client.identity for client in clients}
    found = {
        "clients": arguments.clients,
        "workers": arguments.workers,
        "max_queue": arguments.max_queue,
        "lost": len(own - jobs),
        "duplicated": len(jobs - own) + len(clients) - len(own),
        "wrong": dict(Counter(text for client in clients for text in client.wrong)),
        "refused_and_come_back": sum(client.refusals for client in clients),
        "seconds": round(seconds, 1),
        "server_cpu_seconds_per_job": round(cpu / len(clients), 3),
        "jobs_per_minute": round(60 * len(clients) / seconds, 1),
        "p50": _quantiles(clients, 0.5),
        "p95": _quantiles(clients, 0.95),
        "resident_mb_before": before,
        "resident_mb_most": {name: max(size[name] for size in sizes) for name in before},
    }
    print(json.dumps(found, indent=1))
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    return int(bool(found["lost"] or found["duplicated"] or found["wrong"]))


def _quantiles(clients: list[Client], share: float) -> dict[str, float]:
    names = clients[0].seconds
    return {
        name: round(quantile([client.seconds[name] for client in clients], share), 2)
        for name in names
    }


if __name__ == "__main__":
    sys.exit(main())
