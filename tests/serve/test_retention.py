"""What is forgotten: finished jobs after their time, the oldest when the disk is full."""

import pytest
from local_server import LocalServer

MEGABYTE = 1_000_000


@pytest.fixture
def local(tmp_path):
    made = LocalServer(tmp_path, max_data_gb=0.005, keep_hours=2)
    yield made
    made.close()


def test_a_full_disk_takes_the_oldest_finished_job_and_nothing_that_is_unfinished(local):
    waiting = local.accepted({"seed": 1})
    old, young = local.accepted({"seed": 2}), local.accepted({"seed": 3})
    local.finish(old, hours_ago=1)
    local.finish(young)
    local.write(old, 3 * MEGABYTE)
    local.write(young, 3 * MEGABYTE)
    assert local.post({"seed": 4}).status_code == 202
    assert [local.status_of(job) for job in (old, young, waiting)] == [404, "succeeded", "queued"]
    assert not local.server.data.job(old).exists()


def test_a_disk_that_only_unfinished_jobs_fill_refuses_with_507_and_leaves_nothing(local):
    job = local.accepted({"seed": 1})
    local.write(job, 6 * MEGABYTE)
    refused = local.post({"seed": 2}, **{"Idempotency-Key": "later"})
    assert refused.status_code == 507
    assert refused.json()["type"] == "urn:sphinx-nvs:problem:storage-full"
    assert str(local.folder) not in refused.text
    assert local.known() == {job}
    assert not list(local.server.data.tmp.iterdir())
    local.finish(job)
    again = local.post({"seed": 2}, **{"Idempotency-Key": "later"})
    assert again.status_code == 202, "a refused request uses up no key"
    assert local.status_of(job) == 404


def test_a_finished_job_goes_after_its_hours_with_files_key_and_scene(local):
    old = local.accepted({"seed": 1}, **{"Idempotency-Key": "k"})
    (scene,) = local.server.data.scenes.iterdir()
    local.finish(old, hours_ago=1.9)
    local.sweep()
    assert local.status_of(old) == "succeeded"
    local.finish(young := local.accepted({"seed": 2}))
    waiting = local.accepted({"seed": 3})
    local.transact(_finished_before_limit, old)
    local.sweep()
    assert [local.status_of(job) for job in (old, young, waiting)] == [404, "succeeded", "queued"]
    assert scene.exists(), "others have it"
    fresh = local.post({"seed": 9}, **{"Idempotency-Key": "k"})
    assert fresh.status_code == 202, "the key went with its job"


def test_a_scene_goes_with_its_last_job(local):
    job = local.accepted()
    local.finish(job, hours_ago=3)
    local.sweep()
    assert local.status_of(job) == 404
    assert not list(local.server.data.scenes.iterdir())
    assert not list(local.server.data.jobs.iterdir())


def _finished_before_limit(transaction, identity):
    from sqlalchemy import update

    from sphinx_framework.serve.tables import jobs

    change = update(jobs).where(jobs.c.id == identity).values(finished=1.0)
    transaction.connection.execute(change)


def test_an_upload_that_is_no_job_yet_takes_nobodys_results(local):
    done = local.accepted({"seed": 2})
    local.finish(done, hours_ago=1)
    local.write(done, 3 * MEGABYTE)
    (local.server.data.tmp / "upload-of-somebody").write_bytes(bytes(6 * MEGABYTE))
    local.sweep()
    assert local.status_of(done) == "succeeded"


def test_what_goes_to_make_room_is_told(local, capfd):
    for seed in range(3):
        local.finish(job := local.accepted({"seed": seed}), hours_ago=1)
        local.write(job, 3 * MEGABYTE)
    local.sweep()
    assert "over --max-data-gb jobs=1" in capfd.readouterr().err
