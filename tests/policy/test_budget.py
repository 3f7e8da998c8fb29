"""Budgets shift starts later by the least that fits, and say when nothing does."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.plugin import Capabilities
from sphinx_framework.policy.budget import energy_budget_seconds, fit_budget, request_seconds
from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.plan import PlanConfig, lower, plan

COST = CostModel(full=1.0, frames_base=0.05, frames_slope=0.95, num_frames=6, measured="a bench")
ABLE = Capabilities(frame_subset=True, block_sparse=True)
STEPS = 50
PAPER = PlanConfig()


def scheduled(starts, config=PAPER, mode="fine", region=None):
    slots = [None, *starts, None]
    return lower(plan(mode, slots, STEPS, config, region), ABLE, COST)


def predictor(config=PAPER, mode="fine", region=None):
    return lambda starts: COST.denoise_seconds(scheduled(starts, config, mode, region))


STARTS = st.lists(st.integers(0, STEPS), min_size=1, max_size=6)
CONFIGS = st.builds(PlanConfig, refresh_every=st.integers(1, 8), full_tail=st.integers(0, 12))
MODES = st.sampled_from(["coarse", "fine", "selective"])


@st.composite
def requests(draw):
    starts = draw(STARTS)
    region = torch.zeros(len(starts) + 2, 2, 2, dtype=torch.bool)
    region[1:-1, 0, 0] = True
    return starts, predictor(draw(CONFIGS), draw(MODES), region)


@given(request=requests(), budget=st.floats(0.01, 80))
def test_a_met_budget_is_predicted_to_fit_and_an_unmet_one_not(request, budget):
    starts, predict = request
    fitted = fit_budget(starts, STEPS, predict, budget)
    assert fitted.met == (fitted.predicted_seconds <= budget)
    assert fitted.predicted_seconds == predict(fitted.starts)
    assert fitted.asked_seconds == predict(tuple(starts))


@given(request=requests(), budget=st.floats(0.01, 80))
def test_starts_move_later_by_the_same_number_of_steps(request, budget):
    starts, predict = request
    fitted = fit_budget(starts, STEPS, predict, budget)
    assert fitted.starts == tuple(min(STEPS, start + fitted.shift) for start in starts)


@given(request=requests(), budget=st.floats(0.01, 80))
def test_no_smaller_shift_would_have_fitted(request, budget):
    starts, predict = request
    fitted = fit_budget(starts, STEPS, predict, budget)
    for shift in range(fitted.shift):
        assert predict(tuple(min(STEPS, start + shift) for start in starts)) > budget


@given(request=requests(), small=st.floats(0.01, 40), more=st.floats(0, 40))
def test_a_larger_budget_never_starts_later(request, small, more):
    starts, predict = request
    tight = fit_budget(starts, STEPS, predict, small)
    loose = fit_budget(starts, STEPS, predict, small + more)
    assert all(a >= b for a, b in zip(tight.starts, loose.starts, strict=True))


@given(request=requests())
def test_a_budget_that_the_decision_fits_changes_nothing(request):
    starts, predict = request
    fitted = fit_budget(starts, STEPS, predict, predict(tuple(starts)) + 1)
    assert fitted.starts == tuple(starts)
    assert fitted.shift == 0


@given(starts=STARTS, spacing=st.integers(1, 7), budget=st.floats(0.01, 40))
def test_shifts_are_multiples_of_the_visited_grid(starts, spacing, budget):
    fitted = fit_budget(starts, STEPS, predictor(), budget, spacing=spacing)
    assert fitted.shift % spacing == 0


@given(starts=STARTS, latest=st.integers(0, STEPS), budget=st.floats(0.01, 40))
def test_no_start_is_moved_beyond_the_latest_allowed(starts, latest, budget):
    fitted = fit_budget(starts, STEPS, predictor(), budget, latest=latest)
    for before, after in zip(starts, fitted.starts, strict=True):
        assert before <= after <= max(before, latest)


def test_a_budget_below_the_latest_allowed_start_is_said_to_be_out_of_reach():
    fitted = fit_budget([0, 10], STEPS, predictor(), 0.5, latest=40)
    assert not fitted.met
    assert fitted.starts == (40, 40)
    assert "cannot be met" in fitted.note()


def test_the_note_names_the_shift_and_both_predictions():
    fitted = fit_budget([20, 30], STEPS, predictor(), 10.0)
    assert f"{fitted.shift} steps later" in fitted.note()
    assert f"{fitted.asked_seconds:.3g} s" in fitted.note()


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_that_is_no_positive_number_is_refused(budget):
    with pytest.raises(ValueError, match="budget"):
        fit_budget([0], STEPS, predictor(), budget)


def test_starts_off_the_grid_are_refused():
    with pytest.raises(ValueError, match="not in"):
        fit_budget([STEPS + 1], STEPS, predictor(), 1.0)


def test_an_energy_budget_is_a_time_at_the_measured_power():
    assert energy_budget_seconds(300.0, 60.0) == 5.0
    with pytest.raises(ValueError, match="positive"):
        energy_budget_seconds(300.0, 0.0)


def test_a_request_adds_measured_stages_and_names_the_unmeasured():
    cost = COST.model_copy(update={"encode_per_frame": 0.1, "decode_per_frame": 0.2})
    schedule = scheduled([20, STEPS])
    seconds, unknown = request_seconds(cost, [schedule])
    assert seconds == pytest.approx(cost.denoise_seconds(schedule) + 4 * 0.1 + 1 * 0.2)
    assert unknown == ["regression", "quality", "plan"]


def test_a_request_that_denoises_nothing_is_encoded_and_decoded_for_nothing():
    cost = COST.model_copy(update={"encode_per_frame": 0.1, "decode_per_frame": 0.2})
    assert request_seconds(cost, [scheduled([STEPS, STEPS])])[0] == 0


def test_a_request_that_refines_nothing_scores_its_renders_once():
    cost = COST.model_copy(update={"quality_seconds": 2.0, "quality_of_renders": 0.25})
    nothing, some = scheduled([STEPS, STEPS]), scheduled([STEPS, 20])
    assert request_seconds(cost, [nothing])[0] == 0.5
    for schedules in ([some], [nothing, some]):
        seconds = request_seconds(cost, schedules)[0]
        assert seconds == pytest.approx(cost.denoise_seconds(some) + 2.0)


def test_without_a_measured_cost_there_is_no_request_to_predict():
    with pytest.raises(ValueError, match="measured"):
        request_seconds(CostModel(), [scheduled([20])])
