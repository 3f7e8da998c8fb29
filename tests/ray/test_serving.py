"""The server with its workers as replicas on a local Ray cluster; ``make ray`` runs it."""

import os
import signal
from pathlib import Path

import httpx
import pytest
from holding import PLUGIN, held, holding
from servers import FakeServer

pytest.importorskip("ray.serve")
pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    made = FakeServer(folder, "--engine", "ray", "--workers", "2", plugin=PLUGIN)
    made.environment["HOLD"] = str(folder / "hold")
    yield made.start()
    made.stop()


@pytest.fixture
def hold(server):
    """Held jobs stand still until this file is gone."""
    with holding(server) as file:
        yield file


def replicas(server: FakeServer) -> dict[int, int]:
    """Process ids of the workers below this server, each with that of its replica."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        ours = f"PYTHONPATH={server.environment['PYTHONPATH']}".encode() in environment
        if ours and b"sphinx_framework.serve.worker" in command:
            found[int(folder.name)] = int(command[-2])
    return found


def test_both_replicas_serve_and_frames_are_those_of_render(server, tmp_path):
    jobs = [server.post({"targets": "interpolate:3"}).json()["id"] for _ in range(2)]
    ended = [server.ended(job) for job in jobs]
    assert [job["status"] for job in ended] == ["succeeded"] * 2
    rendered = server.run(
        "render", "--config", server.config, "--scene", server.scene, "--targets", "interpolate:3",
        "--device", "cpu", "--out", tmp_path / "own", "--set", "engine.threads=1",
    )  # fmt: skip
    assert rendered.returncode == 0, rendered.stderr
    fetched = server.run("submit", "--job", jobs[0], "--out", tmp_path / "served")
    assert fetched.returncode == 0, fetched.stderr
    own = sorted((tmp_path / "own" / "frames").iterdir())
    assert own
    for frame in own:
        assert (tmp_path / "served" / "frames" / frame.name).read_bytes() == frame.read_bytes()


def test_a_replica_killed_in_mid_job_loses_nothing(server, hold):
    job = server.post(held()).json()["id"]
    server.wait_for(lambda: server.job(job)["status"] == "running")
    for replica in replicas(server).values():  # whichever has the job
        os.kill(replica, signal.SIGKILL)
    server.wait_for(lambda: server.job(job)["attempt"] >= 2)
    hold.unlink()
    ended = server.ended(job)
    assert ended["status"] == "succeeded"
    numbers = [number for number, _, _ in server.events(job)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_cancel_reaches_the_replica(server, hold):
    job = server.post(held()).json()["id"]
    server.wait_for(lambda: server.job(job)["status"] == "running")
    assert httpx.post(f"{server.url}/v1/jobs/{job}/cancel").status_code == 202
    hold.unlink()
    assert server.ended(job)["status"] == "canceled"


def test_no_process_is_left_after_the_stop(server):
    assert len(replicas(server)) == 2
    assert server.stop() == 0
    server.wait_for(lambda: not replicas(server))


def test_a_cluster_that_is_too_small_is_refused(tmp_path):
    odd = FakeServer(tmp_path)
    ended = odd.run(
        "serve", "--config", odd.config, "--data", tmp_path / "data", "--port", 0,
        "--engine", "ray", "--workers", "200", "--threads", "8",
    )  # fmt: skip
    assert ended.returncode == 2
    assert "200 workers of 8 threads need 1600 CPU" in ended.stderr
