"""The running state of a request: clocks, and nothing shared."""

import time

import numpy as np
import pytest

from sphinx_framework.engine.request_state import Request
from sphinx_framework.errors import ConfigError
from sphinx_framework.request import LARGEST_SEED, RenderRequest
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine


def request():
    engine = fake_engine()
    return Request(
        components=engine.components,
        config=engine.config,
        scene=fake_scene(),
        mode="fine",
        quality=0.9,
        seed=0,
    )


def test_time_spent_on_a_stage_in_pieces_adds_up():
    running = request()
    events = []
    for _ in range(2):
        with running.timing("encode"):
            time.sleep(0.02)
        events.append(running.done("encode"))
    assert [event.stage for event in events] == ["encode", "encode"]
    assert all(event.seconds >= 0.02 for event in events)
    assert running.seconds.encode == pytest.approx(sum(event.seconds for event in events))
    assert running.seconds.decode == 0


@pytest.mark.parametrize("name", ["quality", "budget_ms", "budget_joules"])
@pytest.mark.parametrize("value", [True, "0.9", [1], np.True_, b"1"])
def test_a_wish_for_a_number_is_a_number(name, value):
    with pytest.raises(ConfigError, match=rf"^{name} must be a number, got"):
        RenderRequest.asked(**{name: value})


@pytest.mark.parametrize("value", [1, np.int64(1), np.float32(1), np.float64(1)])
def test_numbers_of_numpy_are_numbers(value):
    asked = RenderRequest.asked(quality=value, budget_ms=value, budget_joules=value)
    assert (asked.quality, asked.budget_ms, asked.budget_joules) == (1.0, 1.0, 1.0)


def test_requests_share_no_state():
    first, second = request(), request()
    first.warnings.append("a warning")
    with first.timing("plan"):
        time.sleep(0.001)
    assert second.warnings == []
    assert second.seconds.plan == 0


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({"quality": 0.0}, "quality must lie in"),
        ({"quality": float("nan")}, "quality must lie in"),
        ({"mode": "fast"}, "mode 'fast' is unknown"),
        ({"seed": -1}, "seed must lie in"),
        ({"seed": LARGEST_SEED + 1}, "seed must lie in"),
        ({"seed": 1.5}, "seed must lie in"),
        ({"seed": True}, "seed must lie in"),
        ({"budget_ms": 0.0}, "budget must be a positive"),
        ({"budget_joules": float("inf")}, "budget must be a positive"),
        ({"quality": "high"}, "quality must be a number, got 'high'"),
        ({"qualty": 0.9}, "a request has no 'qualty'. Did you mean 'quality'"),
    ],
)
def test_a_wish_that_cannot_be_granted_is_refused_in_one_sentence(wishes, told):
    with pytest.raises(ConfigError, match=told):
        RenderRequest.asked(**wishes)
