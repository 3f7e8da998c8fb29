"""How long something measured is used again: pure decisions, and the schedules they act on."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.plugin import Capabilities
from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.drift import Pace
from sphinx_framework.policy.plan import PlanConfig, lower, plan

CHANGE = st.floats(0, 10)


@given(change=CHANGE, more=CHANGE, steps=st.integers(1, 20), age=st.integers(1, 50))
def test_what_moves_faster_never_lasts_longer(change, more, steps, age):
    slow, fast = Pace.seen(change, steps), Pace.seen(change + more, steps)
    assert slow.lasts(age, 0.5) or not fast.lasts(age, 0.5)
    assert slow.lasts(age, 0.5) or not slow.lasts(age + 1, 0.5)


@given(change=CHANGE, steps=st.integers(1, 20))
def test_what_was_seen_is_what_is_expected_at_the_same_age(change, steps):
    assert Pace.seen(change, steps).lasts(steps, change * (1 + 1e-9) + 1e-12)


DRIFT = PlanConfig(refresh="drift", refresh_drift=0.2, refresh_every=3, full_tail=4)


@pytest.mark.parametrize("mode", ["fine", "selective"])
def test_by_drift_only_the_first_pass_is_planned_in_full(mode):
    region = torch.zeros(4, 4, 3, dtype=torch.bool)
    region[1, 0, 0] = region[2, 1, 1] = True
    schedule = plan(mode, [None, 30, 41, 50], 50, DRIFT, region)
    assert schedule.drift == 0.2
    assert [action.text()[0] for action in schedule.actions] == [
        "F",
        *("PS"[mode == "selective"] * 19),
    ]


@pytest.mark.parametrize("mode", ["coarse", "diffusion", "regression"])
def test_modes_without_partial_steps_have_no_drift(mode):
    schedule = plan(mode, [None, 30, 41, 50], 50, DRIFT)
    assert schedule.drift is None
    assert schedule.text() == plan(mode, [None, 30, 41, 50], 50, PlanConfig()).text()


def test_a_model_without_frame_subsets_has_no_drift():
    schedule = plan("fine", [None, 30, 41, 50], 50, DRIFT)
    lowered = lower(schedule, Capabilities(), CostModel())
    assert lowered.drift is None
    assert lowered.partial_steps == 0
