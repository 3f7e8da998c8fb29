"""What the guard refuses has the shape of the API that was asked."""

import pytest
from local_server import LocalServer

from sphinx_framework.serve.keys import ApiKeys, make_key

REFUSED = [
    (401, "unauthorized", {}),
    (403, "forbidden-origin", {"Origin": "http://elsewhere.example"}),
    (421, "wrong-host", {"Host": "elsewhere.example"}),
]


@pytest.fixture
def asked(tmp_path):
    """Posts with a valid key, except where that is what is missing."""
    key, line = make_key("alice")
    (tmp_path / "keys").write_text(line + "\n")
    local = LocalServer(tmp_path)
    local.server.app.keys = ApiKeys(tmp_path / "keys")

    def ask(path, headers):
        held = {"Authorization": f"Bearer {key}"} if headers else {}
        return local.call("POST", path, headers={**held, **headers})

    yield ask
    local.close()


@pytest.mark.parametrize(("status", "name", "headers"), REFUSED)
def test_below_videos_it_is_an_error_object(asked, status, name, headers):
    answer = asked("/v1/videos", headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", name)
    assert error["message"]


@pytest.mark.parametrize(("status", "name", "headers"), REFUSED)
def test_elsewhere_it_is_a_problem_document(asked, status, name, headers):
    answer = asked("/v1/jobs", headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith(f":{name}")
