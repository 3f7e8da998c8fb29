"""A database that is lost or older than the results: nothing that a worker made is deleted."""

import shutil
import sqlite3

import pytest
from local_server import LocalServer
from sqlalchemy.exc import OperationalError

from sphinx_framework.errors import ConfigError
from sphinx_framework.serve import store
from sphinx_framework.serve.datadir import DataDirectory
from sphinx_framework.serve.home import open_database

FULL = OperationalError("", {}, sqlite3.OperationalError("database or disk is full"))


def finished(local, request=None):
    job = local.accepted(request)
    local.write(job, 1000)
    local.finish(job)
    return job


def without_database(folder):
    for file in (folder / "data").glob("jobs.sqlite3*"):
        file.unlink()


def test_results_without_their_database_refuse_the_start_and_stay(tmp_path):
    local = LocalServer(tmp_path)
    job = finished(local)
    local.close()
    without_database(tmp_path)
    data = DataDirectory(local.settings.data)
    with pytest.raises(ConfigError, match=r"its jobs\.sqlite3 knows no job"):
        open_database(local.settings, data, lambda *_: None)
    data.close()
    assert (tmp_path / "data" / "jobs" / job / "files" / "video.mp4").stat().st_size == 1000


def test_an_older_database_keeps_what_came_after_it_aside(tmp_path, capsys):
    local = LocalServer(tmp_path)
    old = finished(local, {"seed": 1})
    local.close()
    shutil.copy(tmp_path / "data" / "jobs.sqlite3", tmp_path / "copy")
    local = LocalServer(tmp_path)
    young = finished(local, {"seed": 2})
    local.close()
    shutil.move(tmp_path / "copy", tmp_path / "data" / "jobs.sqlite3")
    local = LocalServer(tmp_path)
    assert local.status_of(old) == "succeeded"
    assert local.status_of(young) == 404
    kept = tmp_path / "data" / "lost" / "jobs" / young / "files" / "video.mp4"
    assert kept.stat().st_size == 1000
    assert "that the database does not know are kept" in capsys.readouterr().err
    local.write(old, 1000)
    before = local.server.retention.used_bytes
    kept.write_bytes(bytes(10**6))
    local.write(old, 1000)
    assert local.server.retention.used_bytes - before < 10**6, "no job has to go for what is aside"
    local.close()


def test_what_was_accepted_or_deleted_in_part_is_removed(tmp_path, monkeypatch):
    local = LocalServer(tmp_path)
    local.server.data.job("job_in_part").mkdir()
    job = finished(local)
    with monkeypatch.context() as patch:  # it is killed after the commit
        patch.setattr(local.server.data, "remove", lambda _: None)
        assert local.call("DELETE", f"/v1/jobs/{job}").status_code == 204
    local.close()
    local = LocalServer(tmp_path)
    assert not list(local.server.data.jobs.iterdir())
    assert not local.server.data.lost.exists()
    local.close()


@pytest.mark.parametrize("path", ["jobs", "videos"])
def test_on_a_full_disk_a_job_goes_because_its_files_go_first(tmp_path, monkeypatch, path):
    local = LocalServer(tmp_path)
    job = finished(local)
    remove = store.remove

    def full(transaction, identity):
        if (local.server.data.job(identity) / "files").exists():
            raise FULL
        return remove(transaction, identity)

    with monkeypatch.context() as patch:
        patch.setattr(store, "remove", full)
        assert local.call("DELETE", f"/v1/{path}/{job}").status_code in (200, 204)
    assert local.status_of(job) == 404
    assert not local.server.data.job(job).exists()
    local.close()


def test_a_delete_that_cannot_be_stored_at_all_is_told_so(tmp_path, monkeypatch):
    local = LocalServer(tmp_path)
    job = finished(local)

    def full(*_):
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(store, "remove", full)
        answer = local.call("DELETE", f"/v1/jobs/{job}")
    assert answer.status_code == 507
    assert "Delete finished jobs" not in answer.json()["hint"]
    assert local.status_of(job) == "succeeded"
    assert local.call("DELETE", f"/v1/jobs/{job}").status_code == 204
    local.close()
