"""Predictions follow the machine's pace; plans do not."""

import math

import pytest
from engines import fake_engine
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.policy.pace import LARGEST_SURPRISE, WEIGHT, Pace
from sphinx_framework.testing.fakes import fake_scene

STEP = 10.0  # seconds that the table says a step takes: far more than the fakes need


def slow_table(**more):
    return {"full": STEP, "measured": "a slow machine", "num_frames": 6, **more}


@given(st.lists(st.floats(0.6, 1.7), min_size=60, max_size=60))
def test_the_pace_stays_within_what_was_seen(paces):
    pace = Pace()
    for actual in paces:
        pace.observe(pace.factor, actual, at=pace.factor)
    low, high = min(1.0, *paces), max(1.0, *paces)
    assert low - 1e-9 <= pace.factor <= high + 1e-9


def test_a_steady_machine_is_learned():
    pace = Pace()
    for _ in range(40):
        pace.observe(3.0 * pace.factor, 3.6, at=pace.factor)
    assert pace.factor == pytest.approx(1.2, rel=1e-2)


def test_one_surprise_moves_it_little():
    pace = Pace()
    pace.observe(1.0, 500.0, at=1.0)
    assert pace.factor == pytest.approx(math.exp(WEIGHT * math.log(LARGEST_SURPRISE)))


def test_a_plan_that_is_run_many_times_teaches_the_same_pace_as_many_plans():
    pace = Pace()
    for _ in range(60):
        pace.observe(3.0, 3.6, at=1.0)  # predicted once, before anything was known
    assert pace.factor == pytest.approx(1.2, rel=1e-2)


@pytest.mark.parametrize(("predicted", "actual"), [(None, 1.0), (0.0, 1.0), (1.0, 0.0)])
def test_nothing_is_learned_from_what_was_not_predicted_or_not_run(predicted, actual):
    pace = Pace()
    pace.observe(predicted, actual, at=1.0)
    assert pace.factor == 1


def test_an_engine_predicts_the_next_request_at_the_pace_of_the_last():
    engine = fake_engine(cost=slow_table())
    first = engine.render(fake_scene(), mode="diffusion").report
    second = engine.render(fake_scene(), mode="diffusion").report
    assert first.pace == 1
    assert second.pace == pytest.approx(math.exp(-WEIGHT * math.log(LARGEST_SURPRISE)))
    assert second.predicted_denoise_seconds == pytest.approx(
        first.predicted_denoise_seconds * second.pace
    )


def test_requests_that_denoise_nothing_teach_it_too():
    stages = {"regression_seconds": STEP, "quality_seconds": STEP, "plan_seconds": STEP}
    stages |= {"encode_per_frame": 0.0, "decode_per_frame": 0.0}
    engine = fake_engine(cost=slow_table(**stages))
    first = engine.render(fake_scene(), mode="regression")
    assert engine.render(fake_scene(), mode="regression").report.pace < 1
    # Views that were handed in took no time, which says nothing of the machine.
    known = fake_engine(cost=slow_table(**stages))
    for _ in range(2):
        prepared = known.prepare(fake_scene(), mode="regression", coarse=first.coarse)
        assert known.render(prepared).report.pace == 1
    unknown = fake_engine(cost=slow_table())  # no stage is in the table: nothing was predicted
    unknown.render(fake_scene(), mode="regression")
    assert unknown.render(fake_scene(), mode="regression").report.pace == 1


def test_plans_under_a_budget_do_not_depend_on_the_pace():
    stages = {"regression_seconds": 0.0, "quality_seconds": 0.0, "plan_seconds": 0.0}
    stages |= {"encode_per_frame": 0.0, "decode_per_frame": 0.0}
    engine = fake_engine(cost=slow_table(**stages), engine={"budget_ms": 25_000})
    runs = [engine.render(fake_scene(), mode="fine") for _ in range(4)]
    assert runs[-1].report.pace < 0.9
    assert len({run.report.schedule for run in runs}) == 1
    assert all((run.images == runs[0].images).all() for run in runs)
