"""Which steps run both branches of guidance: pure decisions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sphinx_framework.policy.drift import Pace
from sphinx_framework.policy.guidance import (
    Found,
    GuidanceConfig,
    expected_guides,
    guide_of_full,
    guide_of_partial,
)

STEPS = st.integers(0, 49)


@given(step=STEPS, found=st.none() | st.builds(Found, st.integers(0, 49)))
def test_by_default_every_step_runs_both_branches(step, found):
    config = GuidanceConfig()
    assert not config.thinned
    assert guide_of_full(config, step, 50, found) == "both"
    assert guide_of_partial(config, "both") == "both"


@pytest.mark.parametrize(("step", "guide"), [(9, "none"), (10, "both"), (39, "both"), (40, "none")])
def test_outside_of_the_interval_nothing_is_guided(step, guide):
    config = GuidanceConfig(interval=(0.2, 0.8))
    assert guide_of_full(config, step, 50, None) == guide
    assert guide_of_partial(config, guide) == guide


@given(step=STEPS, age=st.integers(1, 20), reuse=st.integers(2, 10))
def test_a_difference_is_used_for_as_many_steps_as_asked(step, age, reuse):
    config = GuidanceConfig(reuse=reuse)
    guide = guide_of_full(config, step + age, 100, Found(step))
    assert guide == ("kept" if age < reuse else "both")
    assert guide_of_partial(config, guide) == "kept"


@given(
    change=st.floats(0.001, 2),
    over=st.integers(1, 10),
    age=st.integers(1, 9),
    limit=st.floats(0.01, 1),
)
def test_a_difference_that_moves_faster_is_never_kept_longer(change, over, age, limit):
    config = GuidanceConfig(reuse=10, change=limit)

    def guide(faster):
        return guide_of_full(config, age, 100, Found(0, Pace.seen(change * faster, over)))

    assert guide(1) == ("kept" if change / over * age <= limit else "both")
    assert not (guide(1) == "both" and guide(2) == "kept")


def test_a_difference_of_unknown_pace_is_computed_again_where_change_is_limited():
    config = GuidanceConfig(reuse=10, change=0.5)
    assert guide_of_full(config, 3, 50, Found(2)) == "both"


@pytest.mark.parametrize(
    "wrong",
    [{"interval": (0.5, 0.5)}, {"interval": (-0.1, 1)}, {"interval": (0, 1.1)}, {"change": 0.1},
     {"reuse": 0}, {"reuse": 3, "change": 0}],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValidationError):
        GuidanceConfig(**wrong)


def test_the_expected_branches_of_a_walk_are_those_that_its_moves_ask_for():
    moves = [(step, step % 5 == 0) for step in range(12)]  # a full pass every fifth step
    assert set(expected_guides(GuidanceConfig(), moves, 12)) == {"both"}
    reused = list(expected_guides(GuidanceConfig(reuse=7), moves, 12))
    assert [reused[step] for step in (0, 5, 10)] == ["both", "kept", "both"]
    assert {guide for step, guide in enumerate(reused) if step % 5} == {"kept"}
    within = list(expected_guides(GuidanceConfig(interval=(0.0, 0.5)), moves, 12))
    assert within == ["both"] * 10 + ["none"] * 2
    unknown = expected_guides(GuidanceConfig(reuse=9, change=0.1), moves, 12)
    assert [guide for guide, (_, full) in zip(unknown, moves, strict=True) if full] == ["both"] * 3
