"""A server that is started again on the same directory with another config."""

from local_server import LocalServer

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
