"""Ends, gentle and violent, of servers, workers and models."""

import os
import signal

import httpx
import pytest
from servers import FakeServer

MISBEHAVING = """
import resource
import time
import torch
from sphinx_framework.plugin import hookimpl
from sphinx_framework.testing.fakes import FakeRegression

AT_MOST = 1 << 36

class Odd(FakeRegression):
    "Does what the seed-like first pixel of the photos asks for."
    def predict(self, scene):
        what = len(scene.targets)
        if what == 11:
            time.sleep(60)
        if what == 12:
            import os, signal
            os.kill(os.getpid(), signal.SIGKILL)
        if what == 13:
            raise MemoryError
        if what == 14:
            raise RuntimeError("in /some/secret/path")
        coarse = super().predict(scene)
        if what == 16:
            kept = []
            while len(kept) < 60:  # 3 GB, if nobody minds
                kept.append(torch.ones(12_500_000))
                time.sleep(0.02)
        if what == 17:
            before, most = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (AT_MOST, most))
            try:
                torch.ones(AT_MOST)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (before, most))
        if what == 15:
            coarse.images[0, 0, 0, 0] = float("nan")  # the engine refuses it by kind
        return coarse

@hookimpl
def sphinx_framework_components():
    from dataclasses import replace
    from sphinx_framework.testing.pipeline import fake_specs
    return [
        replace(spec, factory=__name__ + ":Odd") if spec.kind == "regression" else spec
        for spec in fake_specs()
    ]
"""


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    flags = ("--job-timeout-seconds", "5", "--max-attempts", "2", "--worker-memory-mb", "900")
    made = FakeServer(folder, *flags, plugin=MISBEHAVING).start()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("targets", "name", "attempts"),
    [
        (13, "out-of-memory", 1),
        (14, "model-failed", 1),
        (15, "not-finite", 1),
        (11, "timeout", 1),
        (12, "worker-lost", 2),
        (16, "out-of-memory", 1),
        (17, "out-of-memory", 1),
    ],
)
def test_a_failing_model_fails_its_job_with_a_type_and_the_next_is_served(
    odd, targets, name, attempts
):
    answer = odd.post({"targets": f"interpolate:{targets}"})
    assert answer.status_code == 202, answer.text
    job = odd.ended(answer.json()["id"])
    assert (job["status"], job["attempt"]) == ("failed", attempts)
    assert job["error"]["type"] == f"urn:sphinx-nvs:problem:{name}"
    assert "secret" not in job["error"]["detail"]
    after = odd.ended(odd.post({"targets": "interpolate:2", "mode": "regression"}).json()["id"])
    assert after["status"] == "succeeded"


def test_a_killed_server_keeps_jobs_events_and_keys(odd):
    kept = odd.ended(odd.post({"mode": "regression"}, **{"Idempotency-Key": "kept"}).json()["id"])
    story = odd.events(kept["id"])
    running = odd.post({"targets": "interpolate:11"}).json()["id"]
    queued = odd.post({"targets": "interpolate:2"}).json()["id"]
    odd.wait_for(lambda: odd.job(running)["status"] == "running")
    worker = httpx.get(odd.url + "/readyz").json()["workers"][0]["pid"]
    odd.kill()
    odd.wait_for(lambda: not _alive(worker))
    odd.start()
    assert odd.events(kept["id"]) == story
    again = odd.post({"mode": "regression"}, **{"Idempotency-Key": "kept"})
    assert (again.status_code, again.json()["id"]) == (200, kept["id"])
    assert odd.job(running)["attempt"] >= 1
    reasons = [data.get("reason") for _, _, data in odd.events(running)]
    assert "server-restarted" in reasons
    assert odd.ended(queued)["status"] == "succeeded"


def test_a_cancel_that_was_accepted_survives_a_kill(odd):
    running = odd.post({"targets": "interpolate:11"}).json()["id"]
    odd.wait_for(lambda: odd.job(running)["status"] == "running")
    assert httpx.post(f"{odd.url}/v1/jobs/{running}/cancel").status_code == 202
    odd.kill()
    odd.start()
    assert odd.ended(running)["status"] == "canceled"


def test_a_stop_puts_running_jobs_back_and_exits_with_0(odd):
    running = odd.post({"targets": "interpolate:11"}).json()["id"]
    odd.wait_for(lambda: odd.job(running)["status"] == "running")
    odd.process.send_signal(signal.SIGTERM)
    odd.wait_for(lambda: _refuses(odd))
    odd.process.send_signal(signal.SIGTERM)  # at once
    assert odd.process.wait(30) == 0
    odd.start()
    reasons = [data.get("reason") for _, _, data in odd.events(running)]
    assert "server-stopping" in reasons


def _refuses(server):
    try:
        return httpx.get(server.url + "/readyz").status_code == 503
    except httpx.TransportError:
        return True


def _alive(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
