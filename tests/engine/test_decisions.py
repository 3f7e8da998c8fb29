"""From coarse views to schedules."""

import pytest
import torch
from engines import FixedMask, FixedSteps, engine_with, fixed_engine

from sphinx_framework.errors import CapabilityError, ConfigError
from sphinx_framework.plugin import Capabilities
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine

FRAMES_ONLY = Capabilities(frame_subset=True)


def decisions(engine, mode="fine", **options):
    return engine.plan(fake_scene(), mode=mode, **options)[1]


def test_start_steps_are_adjusted_by_the_mode():
    engine = fixed_engine((10, 20, 30, 50))
    starts = {mode: decisions(engine, mode).starts for mode in ("coarse", "fine", "diffusion")}
    assert starts["coarse"] == (10, 10, 10, 10)
    assert starts["fine"] == (10, 20, 30, 50)
    assert starts["diffusion"] == (0, 0, 0, 0)
    assert decisions(engine, "regression").starts == (50, 50, 50, 50)


def test_the_decision_of_the_policy_is_kept_beside_the_adjusted_one():
    decided = decisions(fixed_engine((10, 20, 30, 50)), "coarse")
    assert decided.start_steps.steps == (10, 20, 30, 50)


def test_coarse_scores_see_the_opacity_and_photos_do_not():
    seen = []

    class Recording:
        def score(self, images, opacity=None):
            seen.append((len(images), opacity is not None))
            return torch.ones(len(images))

    decisions(engine_with(parts={"quality": Recording()}))
    assert seen == [(4, True), (2, False)]


def test_references_lie_at_the_targets_true_positions():
    class Rising:
        def score(self, images, opacity=None):
            return torch.tensor([1.0, 3.0]) if len(images) == 2 else torch.ones(len(images))

    decided = decisions(engine_with(parts={"quality": Rising()}, gamma=1.0))
    expected = 1 + 2 * torch.arange(1, 5) / 5  # inputs at 0 and 5 of the track, targets between
    torch.testing.assert_close(decided.quality.reference, expected)


def test_only_selective_plans_keep_pixels():
    engine = engine_with(parts={"steps": FixedSteps((10,) * 4)})
    assert decisions(engine, "fine").keep is None
    assert decisions(engine, "selective").keep is not None


def test_kept_pixels_are_those_that_no_tile_covers():
    masks = FixedMask((0, 4, 0, 4), None, (0, 32, 0, 32), (31, 32, 31, 32))
    engine = engine_with(
        parts={"steps": FixedSteps((10,) * 4), "mask": masks}, plan={"region_dilation": 0}
    )
    decided = decisions(engine, "selective")
    refined = ~decided.keep
    assert refined[0].nonzero().max(0).values.tolist() == [7, 7]
    assert refined[1].all()  # served as a whole, nothing to composite
    assert refined[2].all()
    assert refined[3].nonzero().min(0).values.tolist() == [24, 24]
    assert decided.starts == (10, 50, 10, 10)


def test_crowded_frames_keep_no_pixels():
    masks = FixedMask(*[(0, 32, 0, 24)] * 4)  # three of four columns of tiles
    kept = {
        limit: decisions(
            engine_with(
                parts={"steps": FixedSteps((10,) * 4), "mask": masks},
                plan={"region_dilation": 0, "region_max_fraction": limit},
            ),
            "selective",
        ).keep
        for limit in (0.7, 0.8)
    }
    assert not kept[0.7].any()
    assert kept[0.8][:, :, 24:].all()
    assert not kept[0.8][:, :, :24].any()


@pytest.mark.parametrize("mode", ["fine", "selective"])
def test_what_the_model_cannot_do_is_noted(mode):
    engine = fixed_engine((10, 20, 30, 40), capabilities=Capabilities())
    assert any("no frame subsets" in note for note in decisions(engine, mode).notes)


def test_strict_pipelines_refuse_to_do_less_than_asked():
    engine = fixed_engine((10, 20, 30, 40), capabilities=FRAMES_ONLY, engine={"strict": True})
    with pytest.raises(CapabilityError, match=r"'selective' cannot be run.*no block sparsity"):
        decisions(engine, "selective")
    assert decisions(engine, "fine").starts == (10, 20, 30, 40)


def test_a_strict_pipeline_accepts_tiles_that_merely_do_not_pay():
    engine = fixed_engine((10, 20, 30, 40), cost={"tiles_base": 9.0}, engine={"strict": True})
    assert decisions(engine, "selective").schedules[0].partial_steps > 0


def test_predictions_need_a_measured_cost():
    assert decisions(fixed_engine((10,) * 4)).predicted_denoise_seconds is None
    cost = {"full": 2.0, "measured": "a bench", "num_frames": 6}
    assert decisions(fixed_engine((48,) * 4, cost=cost), "coarse").predicted_denoise_seconds == 4.0


MEASURED = {"measured": "a test", "full": 0.01, "num_frames": 6}


def test_a_latency_budget_moves_starts_later_and_says_so():
    free = fake_engine(cost=MEASURED).plan(fake_scene(4), mode="fine", quality=0.9)[1]
    assert free.predicted_denoise_seconds is not None
    budget = 500 * free.predicted_denoise_seconds
    tight = fake_engine(cost=MEASURED, engine={"budget_ms": budget})
    decisions = tight.plan(fake_scene(4), mode="fine", quality=0.9)[1]
    assert decisions.predicted_denoise_seconds <= budget / 1000
    assert all(b > a for a, b in zip(free.starts, decisions.starts, strict=True))
    assert any("later" in note for note in decisions.notes)


@pytest.mark.parametrize("budget", ["budget_ms", "budget_joules"])
def test_a_budget_without_a_measured_cost_is_refused(budget):
    with pytest.raises(ConfigError, match="needs a measured cost table"):
        fake_engine(engine={budget: 5.0}).plan(fake_scene(4), mode="fine")


def test_an_energy_budget_without_a_measured_power_is_refused():
    engine = fake_engine(cost=MEASURED, engine={"budget_joules": 5.0})
    with pytest.raises(ConfigError, match=r"power \(watts\)"):
        engine.plan(fake_scene(4), mode="fine")


def test_an_energy_budget_is_a_latency_budget_at_the_measured_power():
    def planned(**budget):
        engine = fake_engine(cost=MEASURED | {"watts": 50.0}, engine=budget)
        return engine.plan(fake_scene(4), mode="fine", quality=0.9)[1].starts

    by_time = planned(budget_ms=100.0)
    assert planned(budget_joules=5.0) == by_time != planned()
    assert planned(budget_joules=5.0, budget_ms=1e6) == by_time
    assert planned(budget_joules=1e6, budget_ms=100.0) == by_time


def test_a_budget_says_which_stages_it_leaves_out():
    engine = fake_engine(cost=MEASURED, engine={"budget_ms": 100.0})
    notes = engine.plan(fake_scene(4), mode="fine")[1].notes
    assert any("regression, quality, plan, encode, decode" in note for note in notes)


@pytest.mark.parametrize("mode", ["diffusion", "regression"])
def test_a_budget_of_a_baseline_is_told_to_be_met_or_not_and_moves_nothing(mode):
    cost = MEASURED | {"regression_seconds": 0.02}
    free = fake_engine(cost=cost).plan(fake_scene(4), mode=mode)[1]
    tight = fake_engine(cost=cost, engine={"budget_ms": 1.0}).plan(fake_scene(4), mode=mode)[1]
    wide = fake_engine(cost=cost, engine={"budget_ms": 1e6}).plan(fake_scene(4), mode=mode)[1]
    assert free.starts == tight.starts == wide.starts
    told = [note for note in tight.notes if "cannot be met" in note]
    assert len(told) == 1
    assert "this mode moves no start" in told[0]
    assert any("is met without change" in note for note in wide.notes)


def test_a_strict_pipeline_refuses_full_diffusion_that_is_too_long():
    engine = fake_engine(cost=MEASURED, engine={"budget_ms": 1.0, "strict": True})
    with pytest.raises(CapabilityError, match="cannot be met"):
        engine.plan(fake_scene(4), mode="diffusion")
    engine.plan(fake_scene(4), mode="regression")


@pytest.mark.parametrize("mode", ["diffusion", "regression"])
def test_a_budget_of_a_baseline_needs_a_measured_cost_too(mode):
    with pytest.raises(ConfigError, match="needs a measured cost table"):
        fake_engine(engine={"budget_ms": 5.0}).plan(fake_scene(4), mode=mode)
