"""Predictions grow with pixels and frames as measurements say, attention's growth included."""

import json
from pathlib import Path
from statistics import geometric_mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.config import load_config
from sphinx_framework.frame_plan import FramePlan
from sphinx_framework.policy.budget import request_seconds
from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.cost_sizes import SizeCost, grown
from sphinx_framework.policy.plan import PlanConfig
from sphinx_framework.policy.plan import plan as laid_out
from sphinx_framework.policy.schedule import Full, Schedule

SIDE = 96


def request(frames: int, steps: int = 1) -> Schedule:
    """All frames but two (the inputs) take some steps."""
    starts = (50, 50, *((50 - steps,) * (frames - 2)))
    own = tuple(range(2, frames))
    return Schedule(
        actions=tuple(Full(step=s, next_step=s + 1, frames=own) for s in range(50 - steps, 50)),
        starts=starts,
        num_steps=50,
    )


def machine(pixels: int, frames: int) -> SizeCost:
    """A machine whose full step has a part of attention over all pixels, the rest by pixel."""
    amount = pixels * frames
    return SizeCost(
        pixels=pixels,
        frames=frames,
        full=1e-6 * amount + 4e-12 * amount**2,
        encode_per_frame=1e-6 * pixels,
        decode_per_frame=2e-6 * pixels,
        regression_seconds=3e-7 * amount,
        quality_seconds=1e-7 * amount,
        plan_seconds=0.003,
    )


def table(*sizes: SizeCost) -> CostModel:
    first = sizes[0]
    return CostModel(
        full=first.full,
        encode_per_frame=first.encode_per_frame,
        decode_per_frame=first.decode_per_frame,
        regression_seconds=first.regression_seconds,
        quality_seconds=first.quality_seconds,
        plan_seconds=first.plan_seconds,
        num_frames=first.frames,
        pixels=first.pixels,
        measured="a machine",
        sizes=sizes if len(sizes) > 1 else (),
    )


def actual(pixels: int, frames: int, steps: int) -> float:
    own = machine(pixels, frames)
    around = frames * own.encode_per_frame + (frames - 2) * own.decode_per_frame
    return steps * own.full + around + own.regression_seconds + own.quality_seconds + 0.003


@given(side=st.integers(64, 256), frames=st.integers(3, 14), steps=st.sampled_from([1, 3, 10]))
def test_requests_between_and_beyond_the_measured_sizes_are_predicted(
    side: int, frames: int, steps: int
) -> None:
    """Measured at two sizes and two counts; within a factor of 1.5 up to thrice the largest."""
    cost = table(*(machine(s * s, n) for s in (SIDE, 192) for n in (4, 8)))
    told, unknown = request_seconds(cost.at(side * side), [request(frames, steps)])
    assert not unknown
    assert 1 / 1.5 <= told / actual(side * side, frames, steps) <= 1.5


def test_a_table_of_one_size_is_proportional_to_the_pixels() -> None:
    cost = table(machine(SIDE**2, 8))
    one, _ = request_seconds(cost, [request(8)])
    four, _ = request_seconds(cost.at((2 * SIDE) ** 2), [request(8)])
    assert four - 0.003 == pytest.approx(4 * (one - 0.003))


def test_at_a_measured_size_the_measurement_itself_counts() -> None:
    cost = table(machine(SIDE**2, 8), machine(192**2, 8))
    for side in (SIDE, 192):
        told, _ = request_seconds(cost.at(side**2), [request(8, 3)])
        assert told == pytest.approx(actual(side**2, 8, 3))


def test_a_table_that_does_not_know_its_size_stays_as_it_is() -> None:
    cost = CostModel(full=0.1, num_frames=8, measured="elsewhere")
    assert cost.at(10_000) == cost


@given(
    points=st.dictionaries(st.integers(1, 1000), st.floats(0.001, 10), min_size=1, max_size=6).map(
        lambda found: [(float(k), v) for k, v in found.items()]
    ),
    amount=st.floats(0.5, 5000),
)
def test_seconds_are_positive_and_pass_through_what_was_measured(
    points: list[tuple[float, float]], amount: float
) -> None:
    assert grown(points, amount) > 0
    for at, seconds in points:
        assert grown(points, at) == pytest.approx(seconds)


def test_nothing_measured_predicts_nothing() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        grown([], 1.0)


def test_lites_own_table_grows_as_recorded_requests_did() -> None:
    """CPU seconds recorded by ``benchmarks/cost_over_sizes.py``, up to one machine factor."""
    recorded = json.loads(Path(__file__).with_name("lite_request_times.json").read_text())
    cost = load_config("lite", []).cost
    ratios = []
    for row in recorded["requests"]:
        plan, frames = FramePlan.parse(row["plan"]), row["frames"]
        starts = [None] * (frames - row["targets"]) + [plan.start] * row["targets"]
        schedule = laid_out("fine", starts, 50, PlanConfig(), walks=[plan.walk] * frames)
        told, unknown = request_seconds(cost.at(row["side"] ** 2), [schedule])
        assert not unknown
        ratios.append(told / row["seconds"])
    factor = geometric_mean(ratios)
    assert len(ratios) >= 12
    assert all(1 / 1.5 <= ratio / factor <= 1.5 for ratio in ratios)
