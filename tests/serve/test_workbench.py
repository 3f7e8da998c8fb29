"""What a worker keeps of scenes, and how it steps down in quality."""

import pytest
import torch
from engines import engine_with

from sphinx_framework.engine.events import CoarseReady, Planned
from sphinx_framework.registry import Registry
from sphinx_framework.serve.degrade import affordable
from sphinx_framework.serve.ladder import cost_ladder
from sphinx_framework.serve.workbench import Known, Workbench, tensor_bytes
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.types import StartSteps

STAGES = (
    "encode_per_frame",
    "decode_per_frame",
    "regression_seconds",
    "quality_seconds",
    "plan_seconds",
)


class Ladder:
    """Lower quality starts later; measured at three of them."""

    qualities = (0.5, 0.8, 1.0)

    def start_steps(self, report, scene, quality, num_steps):
        start = round((1 - quality) * num_steps)
        return StartSteps(steps=(start,) * len(report.ratio), cluster=None)


@pytest.fixture
def engine():
    made = engine_with(parts={"steps": Ladder()}, num_steps=10)
    stages = dict.fromkeys(STAGES, 0.1)
    cost = made.config.cost.model_copy(update={"measured": "by hand", **stages})
    made.config = made.config.model_copy(update={"cost": cost})
    return made


def served(engine, room):
    heard = []
    order = {"quality": 1.0, "mode": "fine", "budget_ms": None, "room_seconds": room}
    prepared = affordable(engine, fake_scene(seed=1), order, heard.append, {})
    assert [sum(isinstance(e, kind) for e in heard) for kind in (CoarseReady, Planned)] == [1, 1]
    assert (prepared.mode, prepared.quality) == (order["mode"], order["quality"])
    return order["mode"], order["quality"]


def test_the_largest_lower_quality_that_fits_is_served_and_the_views_where_none_does(engine):
    assert served(engine, 1e9) == ("fine", 0.8)
    seconds = engine.prepare(fake_scene(seed=1), quality=0.8, mode="fine").decisions
    assert served(engine, 0.99 * seconds.predicted_seconds) == ("fine", 0.5)
    assert served(engine, 0.0)[0] == "regression"


def test_a_plan_tells_what_every_measured_quality_would_cost(engine):
    prepared = engine.prepare(fake_scene(seed=1), quality=0.8, mode="fine")
    ladder = cost_ladder(engine, prepared)
    assert [rung["quality"] for rung in ladder] == [0.5, 0.8, 1.0]
    costs = [rung["predicted_seconds"] for rung in ladder]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]
    assert costs[1] == pytest.approx(prepared.decisions.predicted_seconds, abs=1e-6)
    assert cost_ladder(engine, engine.prepare(fake_scene(seed=1), mode="diffusion")) == []


def test_without_a_measured_cost_table_a_plan_has_no_ladder():
    unmeasured = engine_with(parts={"steps": Ladder()}, num_steps=10)
    assert cost_ladder(unmeasured, unmeasured.prepare(fake_scene(seed=1), mode="fine")) == []


def test_what_is_known_stays_within_its_bound_and_the_least_used_goes_first(engine):
    scenes = [Known(str(seed), fake_scene(seed=seed)) for seed in range(3)]
    each = tensor_bytes(scenes[0], set())
    bench = Workbench(engine, Registry(), 2 * each)
    for known in scenes:
        bench.keep(known)
    assert list(bench._known) == ["1", "2"]
    assert bench.used_bytes == 2 * each
    coarse = engine.prepare(scenes[1].scene).coarse
    bench.keep(Known("1", scenes[1].scene, coarse))
    assert bench.used_bytes <= 2 * each, "views count, and what no longer fits has gone"
    bench.keep(Known("1", scenes[1].scene))
    assert bench.used_bytes <= 2 * each


def test_reused_views_and_scores_give_the_same_frames(engine):
    scene = fake_scene(seed=2)
    first = engine.prepare(scene, mode="diffusion")
    again = engine.prepare(scene, mode="fine", coarse=first.coarse, report=first.report)
    fresh = engine.render(scene, mode="fine", seed=5)
    assert torch.equal(engine.render(again, seed=5).images, fresh.images)
