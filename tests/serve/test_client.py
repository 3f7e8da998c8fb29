"""The client: it tries again as it should, and says clearly what it cannot do."""

import sys

import httpx
import pytest
from answering import client_of

from sphinx_framework.client import RefusedError, UnreachableError
from sphinx_framework.client import connection as connections

ID = "job_" + 26 * "x"
JOB = {"id": ID, "status": "succeeded"}


def test_a_busy_or_broken_server_is_asked_again_with_the_same_key(monkeypatch):
    busy = httpx.Response(429, headers={"Retry-After": "7"})
    starting = httpx.Response(503, headers={"Retry-After": "3"})
    broken = httpx.ConnectError("reset")
    answers = [busy, broken, starting, httpx.Response(202, json=JOB)]
    client, asked, slept = client_of(answers, monkeypatch)
    assert client.submit("procedural:demo", seed=1).id == ID
    assert len({request.headers["Idempotency-Key"] for request in asked}) == 1
    assert len({request.content for request in asked}) == 1
    assert slept[0] == 7
    assert slept[2] == 3


def test_wrong_input_is_an_error_of_its_own_and_not_tried_again(monkeypatch):
    problem = {"detail": "quality must lie in (0, 1].", "hint": "Choose 0.95.", "status": 422}
    client, asked, _ = client_of([httpx.Response(422, json=problem)], monkeypatch)
    with pytest.raises(RefusedError, match="quality must lie") as error:
        client.submit("procedural:demo", quality=2)
    assert (error.value.status, error.value.hint, len(asked)) == (422, "Choose 0.95.", 1)


def test_a_server_that_stays_away_is_given_up(monkeypatch):
    clock = iter(range(0, 100_000, 15))
    monkeypatch.setattr(connections.time, "monotonic", lambda: float(next(clock)))
    client, _, _ = client_of([httpx.ConnectError("refused")] * 100, monkeypatch)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        client.job(ID)


def test_a_broken_event_stream_goes_on_after_the_last_event(monkeypatch):
    def block(number, name):
        return f'id: {number}\nevent: {name}\ndata: {{"n": {number}}}\n\n'.encode()

    streams = {"Content-Type": "text/event-stream"}
    answers = [
        httpx.Response(200, json=JOB),
        httpx.Response(200, headers=streams, content=block(1, "status") + block(2, "progress")[:9]),
        httpx.ReadError("cut"),
        httpx.Response(200, headers=streams, content=block(2, "progress") + block(3, "done")),
        httpx.Response(200, json=JOB),
    ]
    client, asked, _ = client_of(answers, monkeypatch)
    found = [(event.number, event.name) for event in client.job(ID).events()]
    assert found == [(1, "status"), (2, "progress"), (3, "done")]
    assert asked[3].headers["Last-Event-ID"] == "1"


def test_without_httpx_it_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("sphinx_framework.client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ModuleNotFoundError, match=r"sphinx-framework\[client\]"):
        __import__("sphinx_framework.client")


def test_streams_that_are_cut_while_a_job_waits_are_no_server_that_is_gone(monkeypatch):
    clock = iter(range(0, 1_000_000, 200))
    monkeypatch.setattr(connections.time, "monotonic", lambda: float(next(clock)))
    streams = {"Content-Type": "text/event-stream"}
    pings = [httpx.Response(200, headers=streams, content=b": ping\n\n") for _ in range(6)]
    cut = [answer for ping in pings for answer in (ping, httpx.ReadError("cut"))]
    last = b'id: 1\nevent: done\ndata: {"status": "succeeded"}\n\n'
    end = httpx.Response(200, headers=streams, content=last)
    job = httpx.Response(200, json=JOB)
    client, _, _ = client_of([job, *cut, end, job], monkeypatch)
    assert [event.name for event in client.job(ID).events()] == ["done"]
