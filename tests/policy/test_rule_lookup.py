from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sphinx_framework.errors import ConfigError, InputError
from sphinx_framework.frame_plan import FramePlan, Walk, full_diffusion
from sphinx_framework.policy.rule_lookup import Lookup, nearest_centre
from sphinx_framework.policy.rules import SCHEMA, Rules, load_rules

RE10K = load_rules("sphinx_framework_klogic:re10k_seva_mvsplat.toml").rules


@st.composite
def rule_sets(draw: st.DrawFn) -> dict[str, Any]:
    """Rules of one cluster at two qualities, the higher of which never starts later."""
    num_steps = draw(st.integers(5, 60))
    edges = sorted(draw(st.sets(st.integers(1, 100), min_size=2, max_size=7)))
    late = sorted(draw(st.integers(0, num_steps)) for _ in edges[1:])
    drawn = sorted(draw(st.integers(0, k)) for k in late)
    early = [min(a, b) for a, b in zip(drawn, late, strict=True)]
    tables = [
        {
            "quality": quality,
            "rows": [
                [a / 100, b / 100, k] for a, b, k in zip(edges, edges[1:], starts, strict=False)
            ],
        }
        for quality, starts in (
            (0.9, late),
            (0.97, early),
        )
    ]
    return {"schema": SCHEMA, "name": "drawn", "num_steps": num_steps, "table": tables}


lookups = st.builds(
    Lookup,
    style=st.sampled_from(["table", "interpolated"]),
    below_first=st.sampled_from(["zero", "ramp"]),
    max_start=st.none() | st.integers(0, 60),
    multiple_of=st.integers(1, 6),
)
ratios = st.floats(-0.5, 2.0)


@given(rule_sets(), lookups, st.floats(0.9, 1.0), ratios, ratios, st.integers(1, 100))
@settings(max_examples=200, deadline=None)
def test_start_steps_never_fall_as_the_ratio_rises_and_stay_on_the_grid(
    drawn: dict[str, Any], lookup: Lookup, quality: float, one: float, other: float, num_steps: int
) -> None:
    rules = Rules.model_validate(drawn)
    low, high = (
        lookup.start_step(rules, None, quality, ratio, num_steps) for ratio in sorted([one, other])
    )
    assert 0 <= low <= high <= num_steps


@given(rule_sets(), lookups, st.floats(0.9, 0.97), ratios)
@settings(max_examples=200, deadline=None)
def test_between_two_qualities_the_start_lies_between_theirs(
    drawn: dict[str, Any], lookup: Lookup, quality: float, ratio: float
) -> None:
    rules = Rules.model_validate(drawn)
    found, *ends = (
        lookup.start_step(rules, None, q, ratio, rules.num_steps) for q in (quality, 0.9, 0.97)
    )
    assert min(ends) <= found <= max(ends)


@given(rule_sets(), st.sampled_from([0.9, 0.97]), ratios, st.sampled_from(["zero", "ramp"]))
@settings(max_examples=200, deadline=None)
def test_within_its_rows_the_interpolated_rule_never_starts_later_than_the_table(
    drawn: dict[str, Any], quality: float, ratio: float, below_first: str
) -> None:
    rules = Rules.model_validate(drawn)
    table = rules.table(quality, None)
    if not table.rows[0][0] <= ratio:
        return
    interpolated = Lookup(style="interpolated", below_first=below_first)
    assert interpolated.start_step(
        rules, None, quality, ratio, rules.num_steps
    ) <= Lookup().start_step(rules, None, quality, ratio, rules.num_steps)


@given(lookups, st.integers(0, 2), st.floats(0.95, 1.0), st.floats(0.95, 1.0), ratios)
@settings(max_examples=200, deadline=None)
def test_the_authors_rules_never_start_later_for_a_higher_quality(
    lookup: Lookup, cluster: int, one: float, other: float, ratio: float
) -> None:
    late, early = (
        lookup.start_step(RE10K, cluster, quality, ratio, 50) for quality in sorted([one, other])
    )
    assert early <= late


def test_the_shipped_tables_are_the_authors() -> None:
    assert RE10K.qualities == (0.95, 0.98)
    assert RE10K.table(0.98, 0).rows == (
        (0.50, 0.70, 5),
        (0.70, 0.80, 10),
        (0.80, 0.88, 15),
        (0.88, 0.95, 20),
        (0.95, 1.0, 25),
    )
    assert RE10K.table(0.98, 1).rows == (
        (0.71, 0.77, 5),
        (0.77, 0.84, 10),
        (0.84, 0.90, 15),
        (0.90, 0.97, 20),
        (0.97, 1.0, 25),
    )
    assert RE10K.table(0.98, 2).rows == (
        (0.60, 0.73, 5),
        (0.73, 0.88, 10),
        (0.88, 0.96, 15),
        (0.96, 1.0, 20),
    )
    assert RE10K.table(0.95, 0).rows == (
        (0.43, 0.65, 10),
        (0.65, 0.78, 15),
        (0.78, 0.88, 20),
        (0.88, 0.94, 25),
        (0.94, 0.98, 30),
        (0.98, 1.0, 35),
    )
    assert RE10K.table(0.95, 1).rows == (
        (0.54, 0.74, 15),
        (0.74, 0.84, 20),
        (0.84, 0.94, 30),
        (0.94, 1.0, 35),
    )
    assert RE10K.table(0.95, 2).rows == (
        (0.58, 0.68, 5),
        (0.68, 0.76, 10),
        (0.76, 0.84, 15),
        (0.84, 0.90, 20),
        (0.90, 0.96, 25),
        (0.96, 1.0, 30),
    )


def test_a_ratio_of_one_serves_the_regression_frame() -> None:
    assert Lookup().start_step(RE10K, 0, 0.95, 1.0, 50) == 50
    assert Lookup().start_step(RE10K, 0, 0.95, 1.0, 12) == 12


def test_the_latest_start_is_an_option() -> None:
    assert Lookup(max_start=40).start_step(RE10K, 0, 0.95, 1.2, 50) == 40
    assert Lookup(max_start=40).start_step(RE10K, 0, 0.95, 1.2, 25) == 20


def test_quality_one_is_full_diffusion() -> None:
    assert Lookup().start_step(RE10K, 2, 1.0, 1.5, 50) == 0


def test_a_quality_between_two_tables_is_interpolated_and_rounded_down() -> None:
    starts = [Lookup().start_step(RE10K, 0, q, 0.99, 50) for q in (0.95, 0.96, 0.97, 0.98, 0.99)]
    assert starts == [35, 31, 28, 25, 12]


@pytest.mark.parametrize("quality", [0.9, 0.5, 0.01])
def test_below_the_lowest_measured_quality_its_rule_applies(quality: float) -> None:
    for ratio in (0.5, 0.75, 0.9, 0.99):
        lowest = Lookup().start_step(RE10K, 0, 0.95, ratio, 50)
        assert Lookup().start_step(RE10K, 0, quality, ratio, 50) == lowest


@pytest.mark.parametrize("quality", [0.0, 1.01, -1.0])
def test_a_quality_that_is_none_is_refused_with_the_measured_ones(quality: float) -> None:
    with pytest.raises(InputError, match=r"0\.95, 0\.98"):
        Lookup().start_step(RE10K, 0, quality, 0.9, 50)


def test_quality_1_is_what_the_objective_says() -> None:
    table = {"quality": 1.0, "rows": [[0.0, 1e9, 35]]}
    given = {"schema": "sphinx-framework/rules/1", "name": "t", "num_steps": 50, "table": [table]}
    truth = Rules.model_validate({**given, "objective": "truth"})
    assert Lookup().start_step(truth, None, 1.0, 0.9, 50) == 35
    assert Lookup().start_step(RE10K, 0, 1.0, 0.9, 50) == 0
    with pytest.raises(ValidationError, match="quality 1 is full diffusion"):
        Rules.model_validate(given)


def test_starts_scale_with_the_grid_rounded_down() -> None:
    assert Lookup().start_step(RE10K, 0, 0.95, 0.89, 10) == 5
    assert Lookup().start_step(RE10K, 0, 0.95, 0.79, 10) == 4
    assert Lookup().start_step(RE10K, 0, 0.95, 0.70, 10) == 3


def test_starts_are_rounded_down_to_a_multiple_but_serving_stays() -> None:
    lookup = Lookup(style="interpolated", multiple_of=4)
    assert lookup.start_step(RE10K, 0, 0.95, 0.86, 50) % 4 == 0
    assert lookup.start_step(RE10K, 0, 0.95, 1.0, 50) == 50


def test_below_the_first_row_the_ramp_meets_the_table() -> None:
    ramp = Lookup(below_first="ramp")
    assert [ramp.start_step(RE10K, 0, 0.95, ratio, 50) for ratio in (0.0, 0.215, 0.43)] == [
        0,
        5,
        10,
    ]
    assert Lookup().start_step(RE10K, 0, 0.95, 0.42, 50) == 0


def test_the_interpolated_rule_has_no_jump_below_its_end() -> None:
    lookup = Lookup(style="interpolated")
    starts = [lookup.start_step(RE10K, 0, 0.95, i / 1000, 50) for i in range(400, 1000)]
    assert max(b - a for a, b in pairwise(starts)) == 1
    assert starts[-1] == 34


def test_a_ratio_below_zero_is_the_earliest_start_even_of_a_ramp_from_zero() -> None:
    table = {"quality": 0.9, "rows": [[0.0, 1.0, 10]]}
    rules = Rules.model_validate({"schema": SCHEMA, "name": "t", "num_steps": 50, "table": [table]})
    assert Lookup(below_first="ramp").start_step(rules, None, 0.9, -0.1, 50) == 0


def test_the_nearest_centre_is_chosen_by_direction_with_its_margin() -> None:
    centres = np.array([[2.0, 0.0], [0.0, 0.5]], dtype=np.float32)
    choice = nearest_centre(np.array([0.1, 0.3], dtype=np.float32), centres)
    assert (choice.cluster, choice.candidates) == (1, (1,))
    assert choice.cosine == pytest.approx(0.3 / 0.1**0.5)
    assert choice.margin == pytest.approx(0.2 / 0.1**0.5)
    near = nearest_centre(np.array([0.29, 0.3]), centres, min_margin=0.1)
    assert near.candidates == (1, 0)


def test_of_equal_centres_the_first_counts_and_one_centre_has_no_margin() -> None:
    assert nearest_centre(np.ones(3), np.ones((2, 3))).cluster == 0
    assert nearest_centre(np.ones(3), np.ones((1, 3))).margin == 0


def test_an_embedding_of_another_length_is_refused() -> None:
    with pytest.raises(ConfigError, match="has 2 values, the cluster centres have 3"):
        nearest_centre(np.ones(2), np.ones((1, 3)))


def planned_rules(objective: str = "truth") -> Rules:
    """Two qualities; the higher takes more steps; under ``truth`` quality 1 the most."""
    tables = [
        {"quality": 0.9, "rows": [[0, 0.8, 40], [0.8, 1e9, 50]], "steps": [1, 0]},
        {"quality": 0.95, "rows": [[0, 0.8, 0], [0.8, 1e9, 40]], "steps": [3, 1]},
        {"quality": 1.0, "rows": [[0, 1e9, 20]], "steps": [3], "solvers": ["dpmpp_2m"]},
    ]
    return Rules.model_validate(
        {
            "schema": SCHEMA,
            "name": "t",
            "num_steps": 50,
            "objective": objective,
            "table": tables if objective == "truth" else tables[:2],
        }
    )


@pytest.mark.parametrize(
    ("quality", "plan"),
    [(0.1, "40x1"), (0.9, "40x1"), (0.91, "0x3"), (0.95, "0x3"), (0.96, "20x3:dpmpp_2m")],
)
def test_a_quality_between_two_plans_gets_the_higher_ones(quality: float, plan: str) -> None:
    assert Lookup().plan(planned_rules(), None, quality, 0.5, 50).text() == plan


def test_quality_one_is_the_best_plan_of_the_truth_and_full_diffusion_of_the_paper() -> None:
    for ratio in (-1.0, 0.5, 1.5):
        best = Lookup().plan(planned_rules(), None, 1.0, ratio, 50)
        assert best == FramePlan(20, Walk(3, "dpmpp_2m"))
        for rules, cluster in ((planned_rules("paper"), None), (RE10K, 0)):
            assert Lookup(max_start=40).plan(rules, cluster, 1.0, ratio, 25) == full_diffusion(25)


@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0), ratios, ratios)
@settings(max_examples=200, deadline=None)
def test_plans_never_cost_less_for_a_higher_quality_nor_more_for_a_better_frame(
    one: float, other: float, worse: float, better: float
) -> None:
    rules = planned_rules()
    low, high = sorted([one, other])
    bad, good = sorted([worse, better])

    def cost(quality: float, ratio: float) -> int:
        return Lookup().plan(rules, None, quality, ratio, 50).cost(50)

    assert cost(low, bad) <= cost(high, bad)
    assert cost(high, good) <= cost(high, bad)


def test_starts_of_plans_scale_with_the_grid_and_their_steps_stay() -> None:
    assert Lookup().plan(planned_rules(), None, 0.9, 0.5, 25) == FramePlan(20, Walk(1))
    assert Lookup().plan(RE10K, 0, 0.95, 0.89, 10) == FramePlan(5)
