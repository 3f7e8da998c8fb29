"""The whole server on PostgreSQL: jobs, keys, kills of either, and whose database it is."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from holding import PLUGIN, QUICK, held
from servers import FakeServer

from sphinx_framework.errors import ConfigError
from sphinx_framework.serve.datadir import DataDirectory
from sphinx_framework.serve.home import open_database
from sphinx_framework.serve.settings import Settings


@pytest.fixture(scope="module")
def hold(tmp_path_factory):
    return tmp_path_factory.mktemp("hold") / "hold"


@pytest.fixture(scope="module")
def served(tmp_path_factory, postgres, hold):
    hold.touch()
    postgres.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    made = FakeServer(tmp_path_factory.mktemp("served"), "--db", postgres.url, plugin=PLUGIN)
    made.environment["HOLD"] = str(hold)
    yield made.start()
    made.stop()


@pytest.fixture(autouse=True)
def held_back(hold):
    """Jobs that `held` asks for wait in every test that uses the server, until it lets them go."""
    hold.touch()
    yield
    hold.unlink(missing_ok=True)


def accepted(served, request, **headers):
    answer = served.post(request, **headers)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def numbers(served, job):
    return [number for number, _, _ in served.events(job)]


def test_a_job_runs_and_tells_and_its_result_is_listed_by_name(served):
    job = served.ended(accepted(served, QUICK))
    assert job["status"] == "succeeded", job["error"]
    told = served.events(job["id"])
    assert [number for number, _, _ in told] == list(range(1, len(told) + 1))
    files = httpx.get(f"{served.url}/v1/jobs/{job['id']}/result").json()["files"]
    assert [file["name"] for file in files] == sorted(file["name"] for file in files)
    assert httpx.delete(f"{served.url}/v1/jobs/{job['id']}").status_code == 204


def test_of_twenty_at_once_with_one_key_one_is_accepted(served):
    gate = threading.Barrier(20)

    def post(_):
        gate.wait()
        answer = served.post(QUICK, **{"Idempotency-Key": "one"})
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(20) as threads:
        said = list(threads.map(post, range(20)))
    assert sorted(status for status, _ in said) == [200] * 19 + [202]
    assert len({job for _, job in said}) == 1


def test_cancels_of_waiting_and_running_jobs_hold(served, hold):
    running = accepted(served, held())
    served.wait_for(lambda: served.job(running)["progress"]["stage"] == "regression")
    waiting = accepted(served, QUICK)
    assert httpx.post(f"{served.url}/v1/jobs/{waiting}/cancel").status_code == 200
    assert httpx.post(f"{served.url}/v1/jobs/{running}/cancel").status_code == 202
    hold.unlink()
    assert served.ended(running)["status"] == served.job(waiting)["status"] == "canceled"


def test_a_killed_server_goes_on_from_its_database(served, hold):
    kept = served.ended(accepted(served, QUICK, **{"Idempotency-Key": "kept"}))
    story = served.events(kept["id"])
    running = accepted(served, held())
    served.wait_for(lambda: served.job(running)["status"] == "running")
    served.kill()
    hold.unlink()
    served.start()
    assert served.events(kept["id"]) == story
    assert served.post(QUICK, **{"Idempotency-Key": "kept"}).json()["id"] == kept["id"]
    assert served.ended(running)["status"] == "succeeded"
    reasons = [data.get("reason") for _, _, data in served.events(running)]
    assert "server-restarted" in reasons


def test_while_the_database_is_away_clients_are_told_and_nothing_is_lost(served, postgres, hold):
    running = accepted(served, held())
    # All that it tells until it stands still is stored then: the stop meets no commit.
    served.wait_for(lambda: served.job(running)["progress"]["stage"] == "regression")
    postgres.stop()
    hold.unlink()  # the worker goes on, and what it tells has to wait
    refused = served.post(QUICK)
    assert refused.status_code == 503
    assert refused.json()["type"].endswith(":not-ready")
    assert refused.headers["retry-after"]
    served.wait_for(lambda: "trying again" in served.log.read_text())
    assert served.process.poll() is None
    postgres.start()
    assert served.ended(running)["status"] == "succeeded"
    assert numbers(served, running) == list(range(1, len(numbers(served, running)) + 1))
    assert served.ended(accepted(served, QUICK))["status"] == "succeeded"


def test_ids_have_no_gaps_over_restarts_of_the_database(served, postgres, hold):
    """Whatever a restart meets, also a commit: then the server ends, and goes on when started."""
    hold.unlink()
    jobs = [accepted(served, {**QUICK, "seed": seed}) for seed in range(8)]
    for _ in range(4):
        time.sleep(0.05)
        postgres.stop()
        postgres.start()
    for job in jobs:
        served.wait_for(lambda job=job: succeeded(served, job))
    for job in jobs:
        assert numbers(served, job) == list(range(1, len(numbers(served, job)) + 1))


def succeeded(served, job):
    if served.process.poll() is not None:
        assert served.process.returncode == 1
        served.start()
    try:
        return served.job(job)["status"] == "succeeded"
    except httpx.TransportError:
        return False


def test_a_database_serves_one_data_directory(tmp_path, postgres):
    postgres.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    own = Settings(data=tmp_path / "own", db=postgres.url)
    other = Settings(data=tmp_path / "other", db=postgres.url)
    with opened(own) as data:
        (data.jobs / "job_1").mkdir()
        with pytest.raises(ConfigError, match="not the one of this database"), opened(other):
            pass
    without = Settings(data=own.data)
    with pytest.raises(ConfigError, match="another database"), opened(without):
        pass
    with opened(own) as data:
        assert (data.jobs / "job_1").is_dir()
    postgres.execute("TRUNCATE home")
    with pytest.raises(ConfigError, match="does not know"), opened(own):
        pass


@contextmanager
def opened(settings):
    data = DataDirectory(settings.data)
    try:
        open_database(settings, data, lambda *_: None).close()
        yield data
    finally:
        data.close()
