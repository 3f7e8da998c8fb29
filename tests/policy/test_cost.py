"""Step times as a linear model, and whether tiles pay."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.policy.cost import CostModel, StepSample, fit_cost, region_fraction
from sphinx_framework.policy.guidance import GuidanceConfig
from sphinx_framework.policy.schedule import Full, Partial, Schedule

MODEL = CostModel(
    full=2.0,
    frames_base=0.1,
    frames_slope=0.8,
    tiles_base=0.2,
    tiles_slope=1.2,
    num_frames=4,
    measured="a bench",
)
SHARES = st.floats(0.05, 1.0)


def sample(kind, share, seconds):
    return StepSample(kind=kind, share=share, seconds=seconds)


def sparse_schedule(num_frames=4):
    region = torch.zeros(num_frames, 2, 2, dtype=torch.bool)
    region[1, 0, 0] = True
    return Schedule(
        actions=(
            Full(step=0, next_step=1, frames=(0, 1), record=True),
            Partial(step=1, next_step=2, frames=(0, 1), sparse=True),
            Partial(step=2, next_step=3, frames=(0, 1)),
            Full(step=3, next_step=4, frames=(0, 1, 2, 3)),
        ),
        starts=(0, 0, 3, 3),
        num_steps=4,
        region=region,
    )


@given(full=st.floats(0.1, 10), base=st.floats(0.01, 0.5), slope=st.floats(0.1, 2))
def test_fitting_samples_of_a_linear_machine_recovers_it(full, base, slope):
    samples = [sample("full", 1.0, full)]
    for share in (0.1, 0.4, 0.9):
        samples.append(sample("frames", share, full * (base + slope * share)))
        samples.append(sample("tiles", share, full * (2 * base + 3 * slope * share)))

    fitted = fit_cost(samples, 8, "a linear machine")

    assert fitted.full == pytest.approx(full)
    assert fitted.frames_base == pytest.approx(base)
    assert fitted.frames_slope == pytest.approx(slope)
    assert fitted.tiles_base == pytest.approx(2 * base)
    assert fitted.tiles_slope == pytest.approx(3 * slope)
    assert (fitted.num_frames, fitted.measured) == (8, "a linear machine")


def test_the_full_step_is_the_median_of_its_samples():
    samples = [sample("full", 1.0, seconds) for seconds in (1.0, 1.1, 9.0)]
    assert fit_cost(samples, 1, "m").full == 1.1


def test_a_kind_with_too_few_samples_keeps_the_assumption():
    samples = [sample("full", 1.0, 1.0), sample("frames", 0.5, 0.9), sample("frames", 0.5, 0.8)]
    fitted = fit_cost(samples, 1, "m")
    assert (fitted.frames_base, fitted.frames_slope) == (
        CostModel().frames_base,
        CostModel().frames_slope,
    )


def test_noise_never_fits_a_negative_overhead_or_slope():
    samples = [
        sample("full", 1.0, 1.0),
        sample("frames", 0.1, 0.05),
        sample("frames", 0.9, 0.99),
        sample("tiles", 0.1, 0.9),
        sample("tiles", 0.9, 0.5),
    ]
    fitted = fit_cost(samples, 1, "m")
    assert fitted.frames_base >= 0
    assert fitted.tiles_slope > 0


def test_fitting_without_a_full_step_is_refused():
    with pytest.raises(ValueError, match="at least one measured full step"):
        fit_cost([sample("frames", 0.5, 1.0)], 1, "m")


@given(share=SHARES)
def test_tiles_pay_exactly_below_the_break_even(share):
    edge = MODEL.break_even(share)
    if edge > 0:
        assert MODEL.tiles_pay(share, edge * 0.99)
    if edge < 1:
        assert not MODEL.tiles_pay(share, min(1.0, edge * 1.01 + 1e-9))


@given(share=SHARES)
def test_the_break_even_is_a_share(share):
    assert 0 <= MODEL.break_even(share) <= 1
    assert CostModel(tiles_base=9.0).break_even(share) == 0
    assert CostModel(tiles_base=0.0, tiles_slope=0.1).break_even(share) == 1


def test_region_fraction_counts_the_tiles_of_the_active_frames_only():
    schedule = sparse_schedule()
    assert region_fraction(schedule, schedule.actions[1]) == pytest.approx(1 / 8)


def test_steps_cost_by_kind_and_computed_share():
    schedule = sparse_schedule()
    seconds = [MODEL.step_seconds(action, schedule) for action in schedule.actions]
    tiles = 2 * (0.2 + 1.2 * 0.5 / 8)
    assert seconds == pytest.approx([2.0, tiles, 2 * (0.1 + 0.8 * 0.5), 2.0])
    assert MODEL.denoise_seconds(schedule) == pytest.approx(sum(seconds))


def test_a_step_of_one_guidance_branch_is_predicted_at_its_share():
    schedule = sparse_schedule()
    seconds = [MODEL.step_seconds(action, schedule) for action in schedule.actions]
    thinned = replace(schedule, guidance=GuidanceConfig(reuse=50))
    # The first full pass runs both branches, everything after it one.
    assert MODEL.denoise_seconds(thinned) == pytest.approx(seconds[0] + 0.5 * sum(seconds[1:]))
    dearer = MODEL.model_copy(update={"one_branch": 0.75})
    assert dearer.denoise_seconds(thinned) == pytest.approx(seconds[0] + 0.75 * sum(seconds[1:]))


def test_a_clip_of_twice_the_frames_takes_twice_as_long():
    schedule = sparse_schedule(num_frames=4)
    measured_on_two = MODEL.model_copy(update={"num_frames": 2})
    action = schedule.actions[0]
    assert measured_on_two.step_seconds(action, schedule) == pytest.approx(4.0)


def test_nothing_is_predicted_from_mere_assumptions():
    assert CostModel().denoise_seconds(sparse_schedule()) is None
