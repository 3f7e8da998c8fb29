"""Messages that cross each other, and tasks that end by themselves."""

import asyncio

import httpx
import pytest
from local_server import LocalServer

from sphinx_framework.client import fetch
from sphinx_framework.client.connection import Connection
from sphinx_framework.client.fetch import RemoteFile
from sphinx_framework.serve import lifecycle, store


@pytest.fixture
def local(tmp_path):
    server = LocalServer(tmp_path)
    yield server
    server.close()


def test_a_cancel_that_crosses_the_end_of_the_preparation_counts(local):
    identity = local.accepted()
    dispatcher, worker = local.server.dispatcher, local.server.pool.workers[0]
    row = local.transact(store.require, identity)
    job = dispatcher.queue.queued[identity]
    dispatcher.queue.take(job)
    local.transact(lifecycle.start, identity)
    worker.preparing = job
    local.runner.run(dispatcher.cancel(row["owner"], identity))
    assert local.status_of(identity) == "running"
    message = {"kind": "prepared", "job": identity, "attempt": 1, "predicted": 3.0}
    local.runner.run(dispatcher.told(worker, message))
    assert local.status_of(identity) == "canceled"
    assert not dispatcher.queue.prepared
    assert not dispatcher.queue.running


def test_a_worker_whose_task_ends_by_itself_ends_the_server(local):
    pool, failed = local.server.pool, []
    pool.failed = failed.append

    async def broken():
        raise KeyError("attempt")

    async def started():
        pool.workers[0].keep_running = broken
        pool.start()
        await asyncio.sleep(0.01)

    local.runner.run(started())
    assert [type(error) for error in failed] == [KeyError]


def test_a_download_goes_on_when_the_server_is_busy_for_a_moment(tmp_path, monkeypatch):
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    answers = [httpx.Response(503), httpx.Response(503), httpx.Response(200, content=b"hello")]
    connection = Connection("http://127.0.0.1:1", None)
    transport = httpx.MockTransport(lambda request: answers.pop(0))
    connection._http = httpx.Client(transport=transport, base_url=connection.url)
    monkeypatch.setattr(fetch.time, "sleep", lambda seconds: None)
    file = RemoteFile(name="a", url="/a", sha256=digest)
    fetch._fetch(connection, file, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"hello"


def test_seconds_of_a_video_are_those_of_its_file(local):
    identity = local.accepted({"targets": "interpolate:36"})
    answer = local.call("GET", f"/v1/videos/{identity}").json()
    assert answer["seconds"] == "3"
