"""Readers that do not read, other addresses, other databases."""

import asyncio
import socket

import httpx
import pytest
from local_server import LocalServer

from sphinx_framework.errors import ConfigError
from sphinx_framework.serve import lifecycle, run, stream
from sphinx_framework.serve.database import Database
from sphinx_framework.serve.run import _listener
from sphinx_framework.serve.settings import Settings


@pytest.fixture
def local(tmp_path):
    made = LocalServer(tmp_path)
    yield made
    made.close()


def events_of(local, job, send, heartbeat=5.0, after=0):
    """Serve a job's events to a client that is played by ``send``."""
    made = stream.EventStream(local.server.database, local.server.hub, job, after, heartbeat)

    async def receive():
        await asyncio.sleep(3600)

    return made({}, receive, send)


def test_a_reader_that_reads_nothing_is_dropped_and_holds_up_nobody(local, monkeypatch):
    monkeypatch.setattr(stream, "FULL_BUFFER_SECONDS", 0.3)
    job = local.accepted()
    seen = []

    async def stuck(message):
        await asyncio.sleep(3600)

    async def reading(message):
        seen.append(message.get("body", b""))

    async def both():
        slow = asyncio.create_task(events_of(local, job, stuck))
        quick = asyncio.create_task(events_of(local, job, reading))
        await asyncio.wait_for(told("status"), 60)  # the other one is served meanwhile
        await local.server.dispatcher.cancel("", job)
        await asyncio.wait_for(quick, 60)
        with pytest.raises(TimeoutError):
            await slow

    async def told(event):
        while f"event: {event}".encode() not in b"".join(seen):
            await asyncio.sleep(0.01)

    local.runner.run(both())
    assert b"event: done" in b"".join(seen)
    assert local.server.hub.streams == 0
    assert local.status_of(job) == "canceled"


def test_a_reader_that_pauses_gets_everything_once(local):
    job = local.accepted()
    seen = []

    async def pausing(message):
        seen.append(message.get("body", b""))
        await asyncio.sleep(0.05)

    async def run():
        telling = asyncio.create_task(events_of(local, job, pausing))
        while not seen:
            await asyncio.sleep(0.01)
        await local.server.dispatcher.cancel("", job)
        await asyncio.wait_for(telling, 60)

    local.runner.run(run())
    ids = [line for line in b"".join(seen).splitlines() if line.startswith(b"id: ")]
    assert ids == [b"id: 1", b"id: 2"]


def test_it_listens_on_ipv6_and_answers_to_that_name(local, monkeypatch):
    try:
        listener = _listener(Settings(host="::1", port=0))
    except ConfigError:
        pytest.skip("this machine has no IPv6")
    assert listener.family == socket.AF_INET6
    server = local.server
    server.settings = Settings(host="::1", data=local.folder / "data")
    server.app.settings = server.settings
    monkeypatch.setattr(server.pool, "start", lambda: None)

    async def asked():
        serving = asyncio.create_task(server.run(listener))
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=6)) as http:
            while not server.url:
                await asyncio.sleep(0.01)
            assert server.url.startswith("http://[::1]:")
            answer = await http.get(f"{server.url}/healthz")
            other = await http.get(f"{server.url}/healthz", headers={"Host": "[::2]"})
        server._ending.set()
        await asyncio.wait_for(serving, 60)
        return answer.status_code, other.status_code

    assert local.runner.run(asked()) == (200, 421)


def test_a_port_is_taken_from_the_moment_it_is_asked_for():
    """Two servers that start at once would both have it, and one fail when its models are there."""
    with _listener(Settings(port=0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match="cannot listen"):
            _listener(Settings(port=port))


def test_a_server_that_cannot_serve_ends_with_1(local, monkeypatch, capsys):
    async def failing(_, sockets):
        raise OSError("the address is in use")

    monkeypatch.setattr(local.server.pool, "start", lambda: None)
    monkeypatch.setattr(run._Uvicorn, "serve", failing)
    with _listener(Settings(port=0)) as listener:
        assert local.runner.run(local.server.run(listener)) == 1
    assert "the address is in use" in capsys.readouterr().err


@pytest.mark.parametrize("after", [2, 500])
def test_a_reader_beyond_the_last_event_is_let_go_when_the_job_is_over(local, after):
    job = local.accepted()
    seen = []

    async def reading(message):
        seen.append(message.get("body", b""))

    async def both():
        far = asyncio.create_task(events_of(local, job, reading, after=after, heartbeat=60.0))
        while not seen:
            await asyncio.sleep(0.01)
        await local.server.dispatcher.cancel("", job)
        await asyncio.wait_for(far, 20)

    local.runner.run(both())
    assert b"event:" not in b"".join(seen)


def test_another_database_is_used_and_found_again(tmp_path):
    place = tmp_path / "elsewhere.sqlite3"
    local = LocalServer(tmp_path, db=f"sqlite:///{place}")
    job = local.accepted()
    local.close()
    assert place.exists()
    assert not (tmp_path / "data" / "jobs.sqlite3").exists()
    again = LocalServer(tmp_path, db=f"sqlite:///{place}")
    assert again.status_of(job) == "queued"
    again.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql+psycopg://user:secret@127.0.0.1:1/jobs", "psycopg"),
        ("nonsense://x", "nonsense"),
        ("no url", "URL"),
        ("sqlite:////nowhere/at/all.sqlite3", "unable to open"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_clear_error(url, told, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(ConfigError) as error:
        Database(url, lambda *_: None)
    assert error.value.message.startswith("--db: ")
    assert told in error.value.message
    assert "secret" not in error.value.message + error.value.hint


def test_a_worker_above_its_memory_is_killed_and_the_job_fails_with_that_type(tmp_path):
    local = LocalServer(tmp_path, worker_memory_mb=100)
    dispatcher, (worker,) = local.server.dispatcher, local.server.pool.workers
    hungry, next_one = local.accepted({"seed": 1}), local.accepted({"seed": 2})
    local.transact(lifecycle.start, hungry)
    job = dispatcher.queue.queued[hungry]
    dispatcher.queue.take(job)
    killed = []
    worker.turn, worker.refining = [job], {hungry: job}
    worker.resident_bytes = lambda: 101e6
    worker.kill = killed.append

    async def watched():
        watching = asyncio.create_task(dispatcher._watch())
        while not killed:
            await asyncio.sleep(0.02)
        watching.cancel()
        await dispatcher.ended([job], [job], killed[0])

    local.runner.run(watched())
    assert killed[0] == (hungry, "out-of-memory")
    error = local.call("GET", f"/v1/jobs/{hungry}").json()["error"]
    assert error["type"] == "urn:sphinx-nvs:problem:out-of-memory"
    assert "--worker-memory-mb" in error["detail"]
    assert local.status_of(next_one) == "queued", "it is served by the process that comes next"
    assert list(dispatcher.queue.queued) == [next_one]
    local.close()
