"""Fitted rules: no request is beaten by a cheaper point; monotone in quality and in ratio."""

from itertools import pairwise

import numpy as np
import pytest
from calibration_samples import FULL, PLANS, STEPS, planned, scene
from hypothesis import given, settings
from hypothesis import strategies as st

from sphinx_framework.errors import ConfigError
from sphinx_framework.frame_plan import full_diffusion
from sphinx_framework.policy.rule_table import plan_of, row_plan
from sphinx_framework.policy.rules import SCHEMA, Rules
from sphinx_framework.study.calibrate.bounds import lower_bounds
from sphinx_framework.study.calibrate.fit import Fit, Observed, fit_rules, thin_rows
from sphinx_framework.study.calibrate.grid import grid_points
from sphinx_framework.study.calibrate.ties import TIE

QUALITIES = (0.98, 0.95, 0.90)


@st.composite
def observations(draw):
    """Scenes whose plans keep levels of their own, tilted by the ratio, and noise."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    scenes = draw(st.integers(1, 9))
    targets = draw(st.integers(1, 12))
    noise = draw(st.sampled_from([0.0, 0.01, 0.1]))
    level = 1 - draw(st.sampled_from([0.02, 0.1, 0.4])) * rng.random(len(PLANS))
    slope = draw(st.sampled_from([-0.2, 0.0, 0.2]))
    recorded = []
    for index in range(scenes):
        ratios = rng.uniform(0.2, 1.2, targets).round(draw(st.sampled_from([1, 6])))
        shares = level[None] + slope * (ratios[:, None] - 0.7)
        shares = (shares + noise * rng.standard_normal(shares.shape)).clip(0.01, 1.5)
        recorded.append(scene(f"scene-{index}", ratios, shares))
    return recorded


FEW = settings(max_examples=25, deadline=None)
FITS = st.builds(
    Fit,
    bins=st.integers(1, 6),
    min_samples=st.integers(1, 25),
    confidence=st.sampled_from([0.5, 0.8, 0.95]),
    scenes_met=st.sampled_from([0.0, 0.5, 0.9]),
    objective=st.sampled_from(["paper", "truth"]),
)


def asked(fit):
    return (1.0, *QUALITIES) if fit.objective == "truth" else QUALITIES


def fitted(samples, fit, qualities=None):
    seen = Observed.of(samples, fit.objective)
    return fit_rules(seen, qualities or asked(fit), cluster=None, fit=fit)


def shares_in(samples, fit, low, high):
    """Kept shares by plan in a bin, scene numbers, and the plan that they are relative to."""
    seen = Observed.of(samples, fit.objective)
    inside = (seen.ratio >= low) & (seen.ratio < high)
    values = {plan: found[inside] for plan, found in seen.quality.items()}
    reference = full_diffusion(STEPS)
    if fit.objective == "truth":
        most = max(found.mean() for found in values.values())
        best = [plan for plan, found in values.items() if found.mean() >= most * (1 - TIE)]
        reference = min(best, key=lambda p: (p.cost(STEPS), -seen.quality[p].mean(), p.text()))
    base = values[reference]
    return {plan: found / base for plan, found in values.items()}, seen.scene[inside], reference


def keeps(values, scenes, quality, fit):
    bound = lower_bounds(values[None], scenes, fit.confidence)[0]
    means = np.array([values[scenes == s].mean() for s in np.unique(scenes)])
    return bound >= quality and (means >= quality).mean() >= fit.scenes_met


@FEW
@given(samples=observations(), fit=FITS)
def test_no_request_is_beaten_by_a_cheaper_point_of_the_space(samples, fit):
    """On the calibration's own measure, computed here from the samples themselves."""
    for rule in fitted(samples, fit):
        for row, (low, high, _) in enumerate(rule.rows):
            own = row_plan(rule, row)
            if rule.samples[row] == 0 or row in thin_rows(rule):
                continue
            shares, scenes, reference = shares_in(samples, fit, low, high)
            if own.cost(STEPS) != reference.cost(STEPS):
                assert keeps(shares[own], scenes, rule.quality, fit)
            for other, values in shares.items():
                if other.cost(STEPS) < own.cost(STEPS) and other != reference:
                    assert not keeps(values, scenes, rule.quality, fit)


@FEW
@given(samples=observations(), fit=FITS)
def test_cost_and_kept_quality_never_fall_as_the_quality_rises(samples, fit):
    rules = fitted(samples, fit)[::-1]
    for row in range(len(rules[0].rows)):
        costs = [row_plan(rule, row).cost(STEPS) for rule in rules]
        assert costs == sorted(costs)
        low, high, _ = rules[0].rows[row]
        if rules[0].samples[row] and row not in thin_rows(rules[0]):
            shares, scenes, reference = shares_in(samples, fit, low, high)
            bounds = [rule.lower_bound[row] for rule in rules]
            for before, after in pairwise(rules):
                # A plan that too few scenes keep any longer goes, though its bound is the higher.
                own = shares[row_plan(before, row)]
                stays = keeps(own, scenes, after.quality, fit)
                rising = after.lower_bound[row] >= before.lower_bound[row] - TIE
                assert rising or not stays or row_plan(after, row) == reference
            assert all(b >= min(r.quality, 1.0) - 1e-4 for b, r in zip(bounds, rules, strict=True))


@FEW
@given(samples=observations(), fit=FITS)
def test_a_better_frame_never_costs_more_and_the_rows_cover_every_ratio(samples, fit):
    for rule in fitted(samples, fit):
        costs = [row_plan(rule, row).cost(STEPS) for row in range(len(rule.rows))]
        assert costs == sorted(costs, reverse=True)
        assert (rule.rows[0][0], rule.rows[-1][1]) == (0, 1e9)


@FEW
@given(samples=observations(), fit=FITS)
def test_what_is_fitted_is_a_valid_rule_file(samples, fit):
    rules = Rules.model_validate(
        {
            "schema": SCHEMA,
            "name": "t",
            "num_steps": STEPS,
            "objective": fit.objective,
            "table": [rule.model_dump() for rule in fitted(samples, fit)],
        }
    )
    assert rules.qualities[0] == 0.9


@FEW
@given(samples=observations(), fit=FITS, seed=st.integers(0, 99))
def test_the_order_of_the_scenes_does_not_matter(samples, fit, seed):
    shuffled = list(np.random.default_rng(seed).permutation(np.array(samples, dtype=object)))
    assert fitted(shuffled, fit) == fitted(samples, fit)


@FEW
@given(samples=observations(), fit=FITS)
def test_below_all_ratios_seen_the_paper_walks_in_full_and_the_truth_takes_the_first_rule(
    samples, fit
):
    smallest = Observed.of(samples, fit.objective).ratio.min()
    for rule in fitted(samples, fit):
        lowest = plan_of(rule, 0.0, STEPS)
        if fit.objective == "paper" and smallest > 1e-4:
            assert lowest == full_diffusion(STEPS)
        elif fit.objective == "truth":
            assert lowest == plan_of(rule, smallest, STEPS)


def test_scenes_that_lose_nothing_are_served_as_rendered():
    assert planned({"50": 1.0, "40x1": 1.0}) == "50"


def test_one_late_step_is_chosen_where_the_render_does_not_keep_the_quality():
    assert planned({"50": 0.9, "40x1": 0.96, "20": 1.0}) == "40x1"


def test_plain_few_step_diffusion_is_chosen_where_it_is_the_cheapest():
    assert planned({"0x3": 0.97, "20": 1.0, "40": 1.0}) == "0x3"


def test_the_solver_is_chosen_too():
    assert planned({"0x3": 0.9, "0x3:dpmpp_2m": 0.97}) == "0x3:dpmpp_2m"


def test_where_nothing_keeps_the_quality_the_paper_falls_back_on_full_diffusion():
    assert planned({}) == FULL


def test_quality_one_of_the_truth_is_the_best_plan_though_full_diffusion_is_dearer():
    assert planned({"40x1": 1.3, "50": 1.25}, 1.0, objective="truth") == "40x1"
    assert planned({"40x1": 1.3, "50": 1.25}, 0.95, objective="truth") == "50"


@pytest.mark.parametrize(
    ("further", "chosen"), [(0.5 * TIE, "40x1"), (2 * TIE, "20x2"), (-2 * TIE, "40x1")]
)
def test_quality_one_of_the_truth_pays_for_no_step_that_gains_less_than_a_tie(further, chosen):
    kept = {"40x1": 1.3, "20x2": 1.3 * (1 + further), "50": 1.25}
    assert planned(kept, 1.0, objective="truth") == chosen


def test_few_targets_justify_nothing_and_say_so():
    samples = [scene(f"s{i}", [0.7], np.ones((1, len(PLANS)))) for i in range(6)]
    rule = fitted(samples, Fit(min_samples=20), (0.95,))[0]
    assert plan_of(rule, 0.7, STEPS).text() == FULL
    assert len(thin_rows(rule)) == 1
    assert "too few samples" in rule.notes


def test_many_targets_of_one_scene_justify_nothing():
    only = [scene("only", np.full(60, 0.7), np.ones((60, len(PLANS))))]
    assert plan_of(fitted(only, Fit(), (0.95,))[0], 0.7, STEPS).text() == FULL


def test_a_mean_carried_by_few_scenes_is_not_enough_when_scenes_must_meet():
    good, bad = np.full((10, len(PLANS)), 1.2), np.full((10, len(PLANS)), 0.9)
    samples = [scene(f"s{i}", np.full(10, 0.8), good if i < 6 else bad) for i in range(10)]
    mean_only = fitted(samples, Fit(bins=1, scenes_met=0.0), (0.95,))[0]
    assert plan_of(mean_only, 0.8, STEPS).text() == "50"
    most = fitted(samples, Fit(bins=1, scenes_met=0.9), (0.95,))[0]
    assert plan_of(most, 0.8, STEPS).text() == FULL


def test_targets_that_no_plan_refines_decide_nothing():
    whole = scene("a", np.full(10, 0.8), np.full((10, len(PLANS)), 0.5))
    held = [t.model_copy(update={"held": True, "ratio": 0.3}) for t in whole.targets]
    both = whole.model_copy(update={"targets": (*whole.targets, *held)})
    assert len(Observed.of([both], "paper").ratio) == 10


def test_the_truth_needs_truth():
    blind = scene("blind", [0.8], np.ones((1, len(PLANS))))
    target = blind.targets[0].model_copy(update={"similarities": {}})
    with pytest.raises(ConfigError, match="blind has none"):
        Observed.of([blind.model_copy(update={"targets": (target,)})], "truth")


def test_nothing_can_be_fitted_to_nothing():
    with pytest.raises(ValueError, match="at least one sample"):
        fitted([], Fit())


ROW = dict.fromkeys(PLANS, 0.5) | {"0x1": 0.9, "20x2": 0.8, "40x1": 0.95, "50": 0.94}


@pytest.fixture
def grid():
    return [
        scene("a", [0.4, 0.6], [ROW.values(), (ROW | {"40x1": 1.15}).values()]),
        scene("b", [0.5], [ROW.values()]),
    ]


def test_points_rise_in_cost_and_hold_means_over_targets(grid):
    points = grid_points(grid, "truth")
    assert [point.cost for point in points] == sorted(point.cost for point in points)
    by_plan = {point.plan: point for point in points}
    assert by_plan["40x1"].quality == pytest.approx(0.4 * (0.95 + 1.15 + 0.95) / 3)
    assert by_plan["40x1"].share == 1
    assert by_plan[FULL].share == pytest.approx(3 / 3.05)


def test_the_front_holds_what_no_cheaper_plan_equals(grid):
    front = [point.plan for point in grid_points(grid, "truth") if point.front]
    assert front == ["50", "40x1"]


def test_targets_that_no_plan_decides_about_do_not_count(grid):
    held = [
        s.model_copy(
            update={"targets": tuple(t.model_copy(update={"held": True}) for t in s.targets)}
        )
        for s in grid
    ]
    assert grid_points(held, "truth") == ()
    assert grid_points([*grid, held[1]], "paper") == grid_points(grid, "paper")
