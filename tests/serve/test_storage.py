"""Disks that are full and databases that do not answer: said so, and nothing is lost."""

import asyncio
import errno
import sqlite3

import pytest
from local_server import LocalServer
from sqlalchemy.exc import OperationalError

from sphinx_framework.errors import ConfigError
from sphinx_framework.serve import archives, body, datadir, lifecycle, store
from sphinx_framework.serve.attempt import failure
from sphinx_framework.serve.database import Database, DoubtError

FULL = OSError(errno.ENOSPC, "No space left on device", "/some/secret/path")


@pytest.fixture
def local(tmp_path):
    made = LocalServer(tmp_path)
    yield made
    made.close()


def refused(answer, status, name):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith(f":{name}")
    assert "secret" not in answer.text


def raising(error):
    def raise_it(*_, **__):
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("module", "name"),
    [(body._Form, "_data"), (archives, "_write"), (datadir.os, "fsync")],
)
def test_a_full_disk_is_507_and_leaves_nothing(local, monkeypatch, module, name):
    with monkeypatch.context() as patch:
        patch.setattr(module, name, raising(FULL))
        refused(local.post(), 507, "storage-full")
    assert not list(local.server.data.jobs.iterdir())
    assert not list(local.server.data.scenes.iterdir())
    assert not list(local.server.data.tmp.iterdir())
    assert local.accepted()


class Broken:
    """A database whose next transactions fail."""

    def __init__(self, database, times, text="disk I/O error"):
        self.left, self.inner = times, database._transact
        self.error = OperationalError("", {}, sqlite3.OperationalError(text))
        database._transact = self

    def __call__(self, *arguments):
        if self.left:
            self.left -= 1
            raise self.error
        return self.inner(*arguments)


@pytest.mark.parametrize(
    ("text", "status", "name"),
    [
        ("database is locked", 503, "not-ready"),
        ("attempt to write a readonly database", 503, "not-ready"),
        ("database or disk is full", 507, "storage-full"),
    ],
)
def test_a_database_that_fails_is_a_problem_to_come_back_for(local, text, status, name):
    job = local.accepted()
    for call in (
        lambda: local.post(),
        lambda: local.call("GET", "/v1/jobs"),
        lambda: local.call("GET", f"/v1/jobs/{job}"),
        lambda: local.call("POST", f"/v1/jobs/{job}/cancel"),
    ):
        Broken(local.server.database, 1, text)
        refused(call(), status, name)
    assert local.status_of(job) == "queued"


def test_what_a_worker_told_is_stored_when_the_database_is_back(local):
    job = local.accepted()
    told = []
    local.server.database.trouble = told.append
    local.transact(lifecycle.start, job)
    broken = Broken(local.server.database, 2)
    local.runner.run(local.server.database.persist(lifecycle.finish, job, "failed"))
    assert broken.left == 0
    assert told == ["disk I/O error"] * 2
    assert local.status_of(job) == "failed"


def test_a_server_that_stops_does_not_wait_for_its_database(local):
    local.server.database.closing = True
    Broken(local.server.database, 100)
    with pytest.raises(OperationalError):
        local.runner.run(local.server.database.persist(lifecycle.finish, "job", "failed"))


def test_a_commit_whose_answer_is_lost_ends_the_server(local):
    """Only the next start can tell what is stored; what is asked until then is refused."""
    job = local.accepted()
    database = local.server.database
    database._local = False
    commit = OperationalError("", {}, sqlite3.OperationalError("gone"), connection_invalidated=True)

    def read(transaction, commit):
        transaction.connection.commit = raising(commit)
        return store.peek(transaction, job)["id"]

    def write(transaction, commit):
        transaction.connection.commit = raising(commit)
        lifecycle.start(transaction, job)

    assert local.transact(read, commit) == job  # nothing can have changed
    assert not local.server._ending.is_set()
    with pytest.raises(DoubtError):
        local.transact(write, commit)
    assert local.server._ending.is_set()
    assert local.server.exit_code == 1
    refused(local.call("GET", f"/v1/jobs/{job}"), 503, "not-ready")


def test_a_task_that_jobs_wait_for_ends_the_server_when_it_fails(local):
    dispatcher = local.server.dispatcher
    dispatcher._say_waiting = raising(ZeroDivisionError())

    async def run():
        dispatcher.start()
        dispatcher.wake()
        await asyncio.wait_for(local.server._ending.wait(), 60)
        for task in dispatcher._tasks:
            task.cancel()

    local.runner.run(run())
    assert local.server.exit_code == 1


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path):
    (tmp_path / "x.sqlite3").write_bytes(b"something else " * 100)
    with pytest.raises(ConfigError, match="--db: the database cannot be used"):
        Database(f"sqlite:///{tmp_path / 'x.sqlite3'}", lambda *_: None)


def test_a_job_that_finds_the_disk_full_says_so_and_no_path():
    error = failure(FULL)
    assert error["type"].endswith(":internal")
    assert "disk is full" in error["detail"]
    assert "secret" not in error["detail"] + error["hint"]
    assert "disk is full" not in failure(OSError(errno.EIO, "broken"))["detail"]
