"""A server that is started again on the same directory with another config."""

from local_server import LocalServer

from sphinx_framework.serve import lifecycle
from sphinx_framework.testing.pipeline import fake_config

KEY = {"Idempotency-Key": "k"}


def test_a_key_is_replayed_by_a_server_whose_defaults_are_others(tmp_path):
    before = LocalServer(tmp_path, config=fake_config(quality=0.9))
    job = before.accepted({"seed": 3}, **KEY)
    before.close()
    after = LocalServer(tmp_path, config=fake_config(quality=0.8, mode="fine"))
    for asked in ({"seed": 3}, {"seed": 3, "quality": None}):
        again = after.post(asked, **KEY)
        assert (again.status_code, again.json()["id"]) == (200, job)
    assert again.json()["request"]["quality"] == 0.9, "what was accepted stays"
    for other in ({"seed": 4}, {"seed": 3, "quality": 0.9}):
        refused = after.post(other, **KEY)
        assert refused.json()["type"].endswith("idempotency-key-reused")
    after.close()


def test_a_default_that_is_said_is_the_same_request(tmp_path):
    local = LocalServer(tmp_path, config=fake_config(quality=0.9))
    job = local.accepted({}, **KEY)
    said = local.post({"quality": 0.9, "seed": 0, "mode": local.server.config.mode}, **KEY)
    assert (said.status_code, said.json()["id"]) == (200, job)
    local.close()


def test_jobs_of_another_pipeline_fail_and_say_why(tmp_path):
    before = LocalServer(tmp_path, config=fake_config(quality=0.9))
    waiting, running = before.accepted({"seed": 1}), before.accepted({"seed": 2})
    before.transact(lifecycle.start, running)
    before.close()
    after = LocalServer(tmp_path, config=fake_config(quality=0.9, num_steps=20))
    for job in (waiting, running):
        told = after.call("GET", f"/v1/jobs/{job}").json()
        assert told["status"] == "failed"
        assert "another pipeline" in told["error"]["detail"]
    assert not after.server.dispatcher.queue.queued
    fresh = after.accepted({"seed": 3})
    after.close()
    again = LocalServer(tmp_path, config=fake_config(quality=0.8, num_steps=20))
    assert again.status_of(fresh) == "queued", "quality and mode are stored with the job"
    again.close()


def test_a_first_start_that_was_killed_leaves_a_directory_that_can_be_used(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("lock", ".VERSION.abcdef012345"):
        (tmp_path / "data" / name).touch()
    LocalServer(tmp_path).close()
