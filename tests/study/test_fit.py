"""Fitted rules: monotone, justified by their samples, ordered by quality, reproducible."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sphinx_framework.policy.rule_lookup import start_of
from sphinx_framework.study.calibrate.bounds import lower_bounds
from sphinx_framework.study.calibrate.fit import Fit, Observed, fit_rules, thin_rows
from sphinx_framework.study.calibrate.samples import SceneSample, TargetSample

STEPS = 50
STARTS = (0, 10, 20, 30, 40, STEPS)
QUALITIES = (0.98, 0.95, 0.90)


def scene(name, ratios, kept):
    """A recorded scene: one kept share per start after 0 for every target."""
    targets = [
        TargetSample(
            ratio=r,
            reference=2.5,
            full=2.0,
            scores=dict(zip(STARTS, (2.0, *(2 * k for k in row)), strict=True)),
        )
        for r, row in zip(ratios, kept, strict=True)
    ]
    return SceneSample(
        scene=name, num_steps=STEPS, settings={}, embedding=(), targets=tuple(targets)
    )


@st.composite
def observations(draw):
    """Scenes whose kept shares fall with the start and rise with the ratio, with noise."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    scenes = draw(st.integers(1, 9))
    targets = draw(st.integers(1, 12))
    fall, noise = draw(st.sampled_from([0.0, 0.1, 0.4])), draw(st.sampled_from([0.0, 0.01, 0.1]))
    recorded = []
    for index in range(scenes):
        ratios = rng.uniform(0.2, 1.2, targets).round(draw(st.sampled_from([1, 6])))
        late = np.array(STARTS[1:]) / STEPS
        shares = 1 - fall * late[None] ** 2 / ratios[:, None]
        shares = (shares + noise * rng.standard_normal(shares.shape)).clip(0.01, 1.5)
        recorded.append(scene(f"scene-{index}", ratios, shares))
    return recorded


FEW = settings(max_examples=25)
FITS = st.builds(
    Fit,
    bins=st.integers(1, 8),
    min_samples=st.integers(1, 25),
    confidence=st.sampled_from([0.5, 0.8, 0.95]),
    scenes_met=st.sampled_from([0.0, 0.5, 0.9]),
)
RATIOS = st.lists(st.floats(0, 2), min_size=1, max_size=20)


def fitted(samples, fit, qualities=QUALITIES):
    return fit_rules(Observed.of(samples), qualities, cluster=None, num_steps=STEPS, fit=fit)


def start_at(ratio, samples, fit):
    return start_of(fitted(samples, fit, (0.95,))[0].rows, ratio, STEPS)


@FEW
@given(samples=observations(), fit=FITS)
def test_rows_are_contiguous_and_rise(samples, fit):
    for rule in fitted(samples, fit):
        for low, high, start in rule.rows:
            assert 0 <= low < high
            assert start in STARTS[:-1]
        for before, after in zip(rule.rows, rule.rows[1:], strict=False):
            assert before[1] == after[0]
            assert before[2] <= after[2]


@FEW
@given(samples=observations(), fit=FITS, ratios=RATIOS)
def test_a_better_frame_never_starts_earlier(samples, fit, ratios):
    for rule in fitted(samples, fit):
        starts = [start_of(rule.rows, ratio, STEPS) for ratio in sorted(ratios)]
        assert starts == sorted(starts)


@FEW
@given(samples=observations(), fit=FITS, ratios=RATIOS)
def test_a_higher_quality_never_starts_later(samples, fit, ratios):
    high, middle, low = fitted(samples, fit)
    for ratio in ratios:
        starts = [start_of(rule.rows, ratio, STEPS) for rule in (high, middle, low)]
        assert starts == sorted(starts)


@FEW
@given(samples=observations(), fit=FITS)
def test_every_row_is_justified_by_its_own_samples(samples, fit):
    """The bound of the mean, and the share of scenes, computed from the samples themselves."""
    observed = Observed.of(samples)
    for rule in fitted(samples, fit):
        top = (rule.rows[-1][1], np.inf, STEPS)
        counted = zip((*rule.rows, top), (*rule.samples, rule.served_samples), strict=True)
        for (low, high, start), count in counted:
            inside = (observed.ratio >= low) & (observed.ratio < high)
            if low > 0 or start > 0:
                assert inside.sum() == count
            if (
                start == 0
                and count >= fit.min_samples
                and len(np.unique(observed.scene[inside])) > 1
            ):
                kept, scenes = observed.kept[0][inside], observed.scene[inside]
                stated = rule.lower_bound[rule.rows.index((low, high, start))]
                bound = lower_bounds(kept[None], scenes, fit.confidence)[0]
                assert stated == pytest.approx(bound, abs=1e-4)
            if start == 0 or count == 0:
                continue
            assert count >= fit.min_samples
            if start < STEPS:
                kept, scenes = observed.kept[start][inside], observed.scene[inside]
                bound = lower_bounds(kept[None], scenes, fit.confidence)[0]
                assert bound >= rule.quality - 1e-12
                means = [kept[scenes == s].mean() for s in np.unique(scenes)]
                assert np.mean(np.array(means) >= rule.quality) >= fit.scenes_met


@FEW
@given(samples=observations(), fit=FITS, ratios=RATIOS)
def test_ratios_below_all_samples_are_left_to_full_diffusion(samples, fit, ratios):
    smallest = Observed.of(samples).ratio.min()
    for rule in fitted(samples, fit):
        for ratio in ratios:
            if ratio < smallest - 1e-4:
                assert start_of(rule.rows, ratio, STEPS) == 0


@FEW
@given(samples=observations(), fit=FITS, seed=st.integers(0, 99))
def test_the_order_of_the_scenes_does_not_matter(samples, fit, seed):
    shuffled = list(np.random.default_rng(seed).permutation(np.array(samples, dtype=object)))
    assert fitted(shuffled, fit) == fitted(samples, fit)


@FEW
@given(samples=observations(), fit=FITS)
def test_a_quality_is_fitted_alike_alone_and_among_others(samples, fit):
    assert fitted(samples, fit, (0.95,))[0] == fitted(samples, fit)[1]


def test_scenes_that_lose_nothing_are_served_as_rendered():
    ratios = np.linspace(0.5, 1.0, 10)
    samples = [scene(f"s{i}", ratios, np.ones((10, 5))) for i in range(8)]
    rule = fitted(samples, Fit(), (0.95,))[0]
    assert start_of(rule.rows, 0.5, STEPS) == STEPS
    assert start_of(rule.rows, 0.49, STEPS) == 0
    assert rule.served_samples == 80
    assert rule.served_bound == 1.0


def test_a_late_start_behind_a_bad_one_is_not_taken():
    kept = np.tile([1.0, 0.5, 1.0, 1.0, 0.5], (10, 1))
    samples = [scene(f"s{i}", np.full(10, 0.8), kept) for i in range(8)]
    assert fitted(samples, Fit(bins=1), (0.95,))[0].rows[0][2] == 10


def test_the_regression_frame_is_served_even_where_late_starts_lose_quality():
    kept = np.tile([1.0, 0.5, 0.5, 0.5, 1.0], (10, 1))
    samples = [scene(f"s{i}", np.full(10, 0.8), kept) for i in range(8)]
    assert start_at(0.8, samples, Fit(bins=1)) == STEPS


def test_few_targets_justify_nothing_and_say_so():
    samples = [scene(f"s{i}", [0.7], [[1.0] * 5]) for i in range(6)]
    rule = fitted(samples, Fit(min_samples=20), (0.95,))[0]
    assert rule.rows[0][2] == 0
    assert thin_rows(rule) == (0,)


def test_many_targets_of_one_scene_justify_nothing():
    rule = fitted([scene("only", np.full(60, 0.7), np.ones((60, 5)))], Fit(), (0.95,))[0]
    assert [start for *_, start in rule.rows] == [0]


def test_a_mean_carried_by_few_scenes_is_not_enough_when_scenes_must_meet():
    good, bad = np.full((10, 5), 1.2), np.full((10, 5), 0.9)
    samples = [scene(f"s{i}", np.full(10, 0.8), good if i < 6 else bad) for i in range(10)]
    assert start_at(0.8, samples, Fit(bins=1, scenes_met=0.0)) == STEPS
    assert start_at(0.8, samples, Fit(bins=1, scenes_met=0.9)) == 0


def test_nothing_can_be_fitted_to_nothing():
    with pytest.raises(ValueError, match="at least one sample"):
        fitted([], Fit())
