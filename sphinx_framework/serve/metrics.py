"""Prometheus metrics: seconds, bytes, joules; no identities in labels."""

import time
from collections.abc import Sequence
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from sphinx_framework.serve.store import FINAL, Row

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600)
SHARES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
RATIOS = (0.1, 0.25, 0.5, 0.75, 0.9, 1, 1.1, 1.25, 1.5, 2, 4, 10)
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """All metrics of a server. Energy appears only where it was measured."""

    def __init__(self) -> None:
        """Start from zero."""
        own = self.registry = CollectorRegistry()
        ProcessCollector(registry=own)
        PlatformCollector(registry=own)
        self.accepted = Counter("sphinx_jobs_accepted", "Jobs accepted", registry=own)
        self.replayed = Counter("sphinx_jobs_replayed", "Replays by key", registry=own)
        self.rejected = Counter("sphinx_jobs_rejected", "Refused jobs", ["reason"], registry=own)
        self.finished = Counter("sphinx_jobs_finished", "Ended jobs", ["status"], registry=own)
        self.requeued = Counter("sphinx_jobs_requeued", "Queued again", ["reason"], registry=own)
        self.jobs = Gauge("sphinx_jobs", "Jobs", ["status"], registry=own)
        self.workers = Gauge("sphinx_workers", "Worker processes", ["state"], registry=own)
        self.restarts = Counter("sphinx_worker_restarts", "Processes replaced", registry=own)
        self.frames = Counter("sphinx_frames", "Frames served", ["decision"], registry=own)
        self.executed = Counter("sphinx_steps_executed", "Frame steps computed", registry=own)
        self.skipped = Counter("sphinx_steps_skipped", "Frame steps saved", registry=own)
        self.cache = Counter("sphinx_scene_cache", "Scene look-ups", ["result"], registry=own)
        self.cache_bytes = Gauge("sphinx_cache_bytes", "Cached bytes", ["cache"], registry=own)
        self.requests = Counter(
            "sphinx_http_requests", "Requests", ["method", "route", "status"], registry=own
        )
        self.streams = Gauge("sphinx_event_streams", "Open event streams", registry=own)
        self.data_bytes = Gauge("sphinx_data_bytes", "Bytes in the data directory", registry=own)
        self._energy: Counter | None = None
        self._histograms()
        for status in FINAL:
            self.finished.labels(status)
        for decision in ("regression", "refined"):
            self.frames.labels(decision)
        self._first: dict[str, float] = {}
        self._cached: dict[int, float] = {}

    def _histograms(self) -> None:
        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

        self.queue_seconds = histogram("sphinx_queue_seconds", "Wait in the queue", SECONDS)
        self.job_seconds = histogram("sphinx_job_seconds", "Running time", SECONDS, "mode")
        self.preview_seconds = histogram(
            "sphinx_first_preview_seconds", "Acceptance to first view", SECONDS
        )
        self.stage_seconds = histogram("sphinx_stage_seconds", "By stage", SECONDS, "stage")
        self.prediction = histogram("sphinx_prediction_ratio", "Actual over predicted", RATIOS)
        self.area = histogram("sphinx_active_area_ratio", "Marked share of a frame", SHARES)
        self.quality = histogram("sphinx_quality_ratio", "Achieved ratio of a frame", RATIOS)
        self.batch_requests = histogram("sphinx_batch_requests", "Requests in a call", COUNTS)
        self.batch_rows = histogram("sphinx_batch_rows", "Rows in a denoise call", COUNTS)
        self.request_seconds = histogram(
            "sphinx_http_request_seconds", "Request time", SECONDS, "route"
        )

    def started(self, row: Row) -> None:
        """A job left the queue."""
        self.queue_seconds.observe(max(0.0, row["started"] - row["created"]))
        if row["attempt"] == 1:
            self._first[row["id"]] = row["created"]

    def told(self, message: dict[str, Any]) -> None:
        """A view was delivered."""
        if message["kind"] == "preview":
            created = self._first.pop(message["job"], None)
            if created is not None:
                self.preview_seconds.observe(max(0.0, time.time() - created))

    def ended(
        self,
        row: Row,
        measured: dict[str, Any] | None = None,
        calls: Sequence[tuple[int, int]] = (),
    ) -> None:
        """A job's status is final; ``measured`` is of a worker's report.

        calls: requests and rows of the worker's shared calls; without any, each served one.
        """
        self._first.pop(row["id"], None)
        self.finished.labels(row["status"]).inc()
        if row["started"] is not None:
            mode = row["served"]["mode"]
            self.job_seconds.labels(mode).observe(max(0.0, row["finished"] - row["started"]))
        if measured is not None:
            self._measured(measured)
            for requests, rows in calls or [(1, rows) for rows in measured["rows"]]:
                self.batch_requests.observe(requests)
                self.batch_rows.observe(rows)

    def _measured(self, measured: dict[str, Any]) -> None:
        for stage, seconds in measured["seconds"].items():
            self.stage_seconds.labels(stage).observe(seconds)
        for decision, count in measured["frames"].items():
            self.frames.labels(decision).inc(count)
        steps = measured["frame_steps"]
        self.executed.inc(steps)
        self.skipped.inc(max(0, measured["frame_steps_dense"] - steps))
        if measured["predicted_seconds"]:
            self.prediction.observe(measured["total_seconds"] / measured["predicted_seconds"])
        for share in measured["mask_fractions"]:
            self.area.observe(share)
        for ratio in measured["achieved_ratios"]:
            self.quality.observe(max(0.0, ratio))
        if measured["energy_joules"]:
            if self._energy is None:
                self._energy = Counter(
                    "sphinx_energy_joules", "Energy", ["device"], registry=self.registry
                )
            self._energy.labels(measured["device"]).inc(measured["energy_joules"])

    def scene_cache(self, worker: int, message: dict[str, Any]) -> None:
        """A worker looked for a scene."""
        self.cache.labels("hit" if message["hit"] else "miss").inc()
        self._cached[worker] = message["bytes"]
        self.cache_bytes.labels("scenes").set(sum(self._cached.values()))

    def text(self) -> bytes:
        """The exposition in text format 0.0.4."""
        return generate_latest(self.registry)
