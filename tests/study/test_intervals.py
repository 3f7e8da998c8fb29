"""Bootstrap intervals and bounds: they hold the truth as often as they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.study.calibrate.bounds import expanded_level, lower_bounds
from sphinx_framework.study.report.intervals import over_scenes


def lower_bound(values, scenes, confidence):
    return float(lower_bounds(np.asarray(values)[None], scenes, confidence)[0])


VALUES = st.lists(st.floats(0.1, 2.0), min_size=1, max_size=30)


@given(values=VALUES)
def test_the_mean_lies_in_its_interval(values):
    interval = over_scenes(values)
    assert interval.low <= interval.mean + 1e-9
    assert interval.mean <= interval.high + 1e-9
    assert interval.count == len(values)


def test_scenes_without_a_value_are_left_out():
    assert over_scenes([1.0, float("nan"), 3.0]).count == 2
    assert over_scenes([1.0, float("nan"), 3.0]).mean == 2.0


def test_nothing_measured_has_no_mean():
    interval = over_scenes([float("nan")])
    assert interval.count == 0
    assert np.isnan(interval.mean)


def test_the_interval_is_that_of_the_normal_mean_for_many_scenes():
    values = np.random.default_rng(3).normal(5, 2, 400)
    interval = over_scenes(list(values))
    half = 1.96 * values.std() / 20
    assert interval.low == pytest.approx(values.mean() - half, abs=0.05)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.05)


@given(values=st.lists(st.floats(0.1, 2.0), min_size=2, max_size=30))
def test_a_lower_bound_lies_below_the_mean_and_above_the_smallest(values):
    bound = lower_bound(np.array(values), np.arange(len(values)), 0.9)
    assert min(values) - 1e-9 <= bound <= np.mean(values) + 1e-9


@given(
    values=st.lists(st.floats(0.1, 2.0), min_size=2, max_size=12),
    more=st.floats(0.0, 0.4),
)
def test_more_confidence_gives_a_lower_bound(values, more):
    scenes = np.arange(len(values))
    weak = lower_bound(np.array(values), scenes, 0.55)
    assert lower_bound(np.array(values), scenes, 0.55 + more) <= weak + 1e-12


def test_one_scene_bounds_nothing_however_many_targets_it_has():
    assert lower_bound(np.ones(50), np.zeros(50, dtype=int), 0.9) == float("-inf")


def test_targets_of_a_scene_count_together():
    values = np.repeat(np.random.default_rng(0).normal(1, 0.2, 8), 10)
    together = lower_bound(values, np.repeat(np.arange(8), 10), 0.9)
    apart = lower_bound(values, np.arange(80), 0.9)
    assert together < apart


@pytest.mark.parametrize("count", [3, 6, 15])
def test_the_bound_holds_about_as_often_as_it_says(count):
    rng = np.random.default_rng(count)
    held = [lower_bound(rng.normal(1, 0.3, count), np.arange(count), 0.9) <= 1 for _ in range(300)]
    assert 0.85 <= np.mean(held) <= 0.97


def test_the_level_is_that_of_the_plain_bootstrap_for_very_many_scenes():
    assert expanded_level(0.9, 100_000) == pytest.approx(0.1, abs=1e-3)
    assert expanded_level(0.9, 3) < 0.02
