"""The quality ratio of paper eq. 2."""

import pytest
import torch
from goldens import golden
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.policy.quality import SMALLEST_REFERENCE, quality_report, reference_score
from sphinx_framework.types import Bracket

SCORES = st.floats(0.1, 100)
POSITIONS = st.floats(0, 1)
GAMMAS = st.floats(0.1, 3)


def test_the_reference_curve_is_the_authors():
    fixture = golden("sphinx_masks")
    positions, tolerance = fixture.tensors["in/bench_t"], fixture.info["tolerance"]
    assert fixture.info["bench_inputs"]
    for direction, (first, last) in fixture.info["bench_inputs"].items():
        curve = [reference_score(first, last, float(t), gamma=0.5) for t in positions]
        torch.testing.assert_close(
            torch.tensor(curve),
            fixture.tensors[f"out/bench_{direction}"],
            rtol=tolerance["rtol"],
            atol=tolerance["atol"],
            msg=direction,
        )


@given(first=SCORES, last=SCORES, gamma=GAMMAS)
def test_the_curve_passes_through_both_inputs(first, last, gamma):
    assert reference_score(first, last, 0.0, gamma) == pytest.approx(first)
    assert reference_score(first, last, 1.0, gamma) == pytest.approx(last)


@given(first=SCORES, last=SCORES, position=POSITIONS, gamma=GAMMAS)
def test_reversing_the_inputs_mirrors_the_curve(first, last, position, gamma):
    there = reference_score(first, last, position, gamma)
    back = reference_score(last, first, 1 - position, gamma)
    assert there == pytest.approx(back, rel=1e-6)


@given(first=SCORES, last=SCORES, position=POSITIONS)
def test_a_gamma_of_one_is_linear_interpolation(first, last, position):
    linear = first + (last - first) * position
    assert reference_score(first, last, position, 1.0) == pytest.approx(linear)


@given(low=SCORES, high=SCORES, position=st.floats(0.01, 0.99))
def test_a_small_gamma_keeps_the_reference_near_the_better_input(low, high, position):
    low, high = sorted((low, high))
    rising = reference_score(low, high, position, 0.5)
    falling = reference_score(high, low, position, 0.5)
    assert rising >= low + (high - low) * position - 1e-9
    assert falling >= high + (low - high) * position - 1e-9


@given(first=SCORES, last=SCORES, gamma=GAMMAS, a=POSITIONS, b=POSITIONS)
def test_the_curve_never_turns_back_between_its_ends(first, last, gamma, a, b):
    near, far = sorted((a, b))
    step = reference_score(first, last, far, gamma) - reference_score(first, last, near, gamma)
    assert step * (last - first) >= -1e-6


def test_targets_are_judged_at_their_true_positions():
    brackets = [Bracket(left=0, right=1, position=p) for p in (0.04, 0.25, 0.81)]
    report = quality_report(
        torch.tensor([6.0, 7.5, 9.5]), torch.tensor([5.0, 10.0]), brackets, gamma=0.5
    )
    torch.testing.assert_close(report.reference, torch.tensor([6.0, 7.5, 9.5]))
    torch.testing.assert_close(report.ratio, torch.ones(3))


def test_every_target_is_judged_by_its_own_two_inputs():
    brackets = [Bracket(left=0, right=2, position=0.5), Bracket(left=2, right=1, position=0.5)]
    report = quality_report(
        torch.tensor([1.0, 1.0]), torch.tensor([1.0, 3.0, 2.0]), brackets, gamma=1.0
    )
    assert report.reference.tolist() == [1.5, 2.5]
    assert report.input_score.tolist() == [1.0, 3.0, 2.0]


def test_a_reference_of_nothing_does_not_divide_by_zero():
    report = quality_report(
        torch.tensor([1.0]), torch.zeros(2), [Bracket(left=0, right=1, position=0.5)], gamma=0.5
    )
    assert float(report.reference) == pytest.approx(SMALLEST_REFERENCE)
    assert torch.isfinite(report.ratio).all()


def test_scores_of_any_precision_are_reported_as_detached_float32():
    score = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    report = quality_report(
        score, torch.ones(1).half(), [Bracket(left=0, right=0, position=0.0)], gamma=0.5
    )
    for value in (report.score, report.reference, report.ratio, report.input_score):
        assert value.dtype == torch.float32
        assert not value.requires_grad
