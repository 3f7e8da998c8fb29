"""Ends, gentle and violent, of servers, workers and models."""

import os
import signal

import holding
import httpx
import pytest
from holding import QUICK, held
from servers import LIMIT, FakeServer

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
    """A server whose jobs fail by the number of their targets."""
    folder = tmp_path_factory.mktemp("odd")
    flags = ("--max-attempts", "2", "--worker-memory-mb", "900")
    made = FakeServer(folder, *flags, plugin=MISBEHAVING).start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """A server whose held jobs run until they may end."""
    made = FakeServer(tmp_path_factory.mktemp("steady"), plugin=holding.PLUGIN)
    made.environment["HOLD"] = str(made.folder / "hold")
    yield made.start()
    made.stop()


@pytest.fixture
def hold(steady):
    with holding.holding(steady) as file:
        yield file


@pytest.mark.parametrize(
    ("targets", "name", "attempts"),
    [
        (13, "out-of-memory", 1),
        (14, "model-failed", 1),
        (15, "not-finite", 1),
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
    assert odd.ended(odd.post(QUICK).json()["id"])["status"] == "succeeded"


def test_a_hanging_model_fails_its_job_by_the_clock_and_the_next_is_served(tmp_path):
    made = FakeServer(tmp_path, "--job-timeout-seconds", "5", plugin=MISBEHAVING).start()
    job = made.ended(made.post({"targets": "interpolate:11"}).json()["id"])
    assert (job["status"], job["attempt"]) == ("failed", 1)
    assert job["error"]["type"] == "urn:sphinx-nvs:problem:timeout"
    # A machine that is busy beyond measure may make the clock of a small job ring, too.
    served = (made.ended(made.post(QUICK).json()["id"]) for _ in range(20))
    assert any(after["status"] == "succeeded" for after in served)
    made.stop()


def test_a_killed_server_keeps_jobs_events_and_keys(steady, hold):
    kept = steady.ended(steady.post(QUICK, **{"Idempotency-Key": "kept"}).json()["id"])
    story = steady.events(kept["id"])
    running, queued = steady.post(held()).json()["id"], steady.post(QUICK).json()["id"]
    steady.wait_for(lambda: steady.job(running)["status"] == "running")
    worker = httpx.get(steady.url + "/readyz").json()["workers"][0]["pid"]
    steady.kill()
    steady.wait_for(lambda: not _alive(worker))
    steady.start()
    assert steady.events(kept["id"]) == story
    again = steady.post(QUICK, **{"Idempotency-Key": "kept"})
    assert (again.status_code, again.json()["id"]) == (200, kept["id"])
    hold.unlink()
    assert steady.ended(running)["attempt"] == 2
    reasons = [data.get("reason") for _, _, data in steady.events(running)]
    assert "server-restarted" in reasons
    assert steady.ended(queued)["status"] == "succeeded"


def test_a_cancel_that_was_accepted_survives_a_kill(steady, hold):
    running = steady.post(held()).json()["id"]
    steady.wait_for(lambda: steady.job(running)["status"] == "running")
    assert httpx.post(f"{steady.url}/v1/jobs/{running}/cancel").status_code == 202
    steady.kill()
    steady.start()
    assert steady.ended(running)["status"] == "canceled"


def test_a_stop_puts_running_jobs_back_and_exits_with_0(steady, hold):
    running = steady.post(held()).json()["id"]
    steady.wait_for(lambda: steady.job(running)["status"] == "running")
    steady.process.send_signal(signal.SIGTERM)
    steady.wait_for(lambda: _refuses(steady))
    steady.process.send_signal(signal.SIGTERM)  # at once
    assert steady.process.wait(LIMIT) == 0
    hold.unlink()
    steady.start()
    reasons = [data.get("reason") for _, _, data in steady.events(running)]
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
