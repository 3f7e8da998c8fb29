"""Wrong input is one clear error before it is sent; what is no server of ours is called so."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from answering import client_of
from photo_scenes import write_photo_scene

from sphinx_framework.cli.main import main
from sphinx_framework.client import Client, RefusedError, UnreachableError
from sphinx_framework.client.events import follow
from sphinx_framework.errors import ConfigError, JobError, SceneError

ID = "job_" + 26 * "x"
JOB = {"id": ID, "status": "succeeded"}


@pytest.fixture
def client(monkeypatch):
    """A client that must not ask for anything."""
    return client_of([], monkeypatch)[0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none_is_named(client, tmp_path, value):
    scene = write_photo_scene(tmp_path / "scene")
    for sent in ("procedural:demo", scene):
        with pytest.raises(ConfigError, match=f"quality cannot be {value}"):
            client.submit(sent, quality=value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"frames": [1]}', "must be an object"),
        ('{"frames": null}', "'convention' is missing"),
        ('{"frames": [{"transform_matrix": [[NaN]]}]}', "must be a 4x4 or 3x4 matrix"),
        ('{"frames": [{"transform_matrix": [1,0,0,NaN, 0,1,0,0, 0,0,1,0]}]}', "NaN or infinity"),
        (100_000 * "[", "nested too deeply"),
    ],
)
def test_a_target_file_that_is_none_is_told(client, tmp_path, text, message):
    (tmp_path / "targets.json").write_text(text)
    with pytest.raises(SceneError, match=message):
        client.submit("procedural:demo", targets=tmp_path / "targets.json")


@pytest.mark.parametrize("identity", ["", "../models", "job_x", f"{ID}x", f"{ID}\n", ID.upper()])
def test_what_is_no_id_of_a_job_is_not_asked_for(client, identity):
    with pytest.raises(ConfigError, match="is no job's id"):
        client.job(identity)


@pytest.mark.parametrize("key", ["schlüssel", "a b", "a\n", "k" * 201])
def test_what_is_no_idempotency_key_is_not_sent(client, key):
    with pytest.raises(ConfigError, match="is no idempotency key"):
        client.submit("procedural:demo", idempotency_key=key)


@pytest.mark.parametrize("url", ["http://127.0.0.1:80a", "http://", "ftp://server", "server", ""])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(RefusedError, match="is not an http:// or https:// address"):
        Client(url)


@pytest.mark.parametrize(
    "more",
    [
        ("--quality", "nan", "--scene", "procedural:demo"),
        ("--job", "../models"),
        ("--idempotency-key", "schlüssel", "--scene", "procedural:demo"),
    ],
)
def test_the_command_line_calls_it_wrong_input(capsys, more):
    assert main(["submit", "--server", "http://127.0.0.1:9", *more]) == 2
    assert "bug" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<html>Hello</html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"id": 3}),
        httpx.Response(200, text="[" * 9999),
    ],
)
def test_an_answer_that_is_no_job_is_told(monkeypatch, answer):
    client, asked, _ = client_of([answer], monkeypatch)
    with pytest.raises(UnreachableError, match="server answered with something else than a job"):
        client.job(ID)
    assert len(asked) == 1


def test_a_redirection_is_told_and_not_followed(monkeypatch):
    moved = httpx.Response(301, headers={"Location": "https://elsewhere/login"})
    client, asked, _ = client_of([moved, moved], monkeypatch)
    for ask in (lambda: client.job(ID), lambda: client.submit("procedural:demo")):
        with pytest.raises(UnreachableError, match=r"301, .* to https://elsewhere/login"):
            ask()
    assert len(asked) == 2


def test_a_server_that_names_a_date_is_asked_again_then(monkeypatch):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    dates = [later, "Mon, 30 Nov 2020 07:48:40 GMT", "soon", "-3", "nan", ""]
    busy = [httpx.Response(503, headers={"Retry-After": date}) for date in dates]
    client, _, slept = client_of([*busy, httpx.Response(200, json=JOB)], monkeypatch)
    assert client.job(ID).id == ID
    assert 30 < slept[0] <= 60
    assert slept[1:] == [1, 5, 5, 5, 5]


def test_a_page_in_place_of_events_is_told_at_once(monkeypatch):
    page = httpx.Response(200, html="<html>Hello</html>")
    client, asked, _ = client_of([page], monkeypatch)
    with pytest.raises(JobError, match=r"answered with text/html.*, not with events"):
        list(follow(client.connection, ID))
    assert len(asked) == 1


def test_a_body_that_cannot_be_unpacked_is_asked_for_again(monkeypatch):
    broken = httpx.DecodingError("incorrect header check")
    client, asked, _ = client_of([broken, httpx.Response(200, json=JOB)], monkeypatch)
    assert client.job(ID).id == ID
    assert len(asked) == 2
