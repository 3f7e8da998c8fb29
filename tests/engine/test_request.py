from time import perf_counter

from sphinx_framework.engine.request_state import Request
from sphinx_framework.testing.fakes import fake_scene


def request():
    return Request(scene=fake_scene(), mode="fine", quality=0.9, seed=0)


def test_time_spent_on_a_stage_in_pieces_adds_up():
    running = request()
    events = [running.clock("encode", perf_counter() - 1.0) for _ in range(2)]
    assert [event.stage for event in events] == ["encode", "encode"]
    assert 2.0 <= running.seconds.encode < 2.5
    assert running.seconds.decode == 0


def test_requests_share_no_state():
    first, second = request(), request()
    first.warnings.append("a warning")
    first.clock("plan", perf_counter() - 1.0)
    assert second.warnings == []
    assert second.seconds.plan == 0
