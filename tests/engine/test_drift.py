"""Refresh by measured drift: what runs, what comes out, and what is measured."""

import pytest
import torch
from engines import CPU
from hypothesis import given, settings
from hypothesis import strategies as st

from sphinx_framework.engine.drift import DriftWatch, moved_share
from sphinx_framework.engine.loop import Refinement
from sphinx_framework.engine.scheduler import answered
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.policy.plan import PlanConfig, plan
from sphinx_framework.policy.schedule import Full, Partial
from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion, fake_scene
from sphinx_framework.testing.pipeline import fake_engine

STEPS = 20


def walked(config, mode="fine", starts=(3, 9, None)):
    model = FakeDiffusion(FakeConfig(seed=3), CPU)
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(3, 8, 8, 6, generator=generator) for _ in range(2))
    region = torch.zeros(3, 4, 3, dtype=torch.bool)
    region[0, 1, 1] = region[1, :2, 0] = True
    loop = Refinement(
        model=model,
        schedule=plan(mode, list(starts), STEPS, config, region),
        sampler=model.sampler(STEPS),
        clean=clean,
        noise=noise,
        condition=torch.randn(3, 1, 8, 6, generator=generator),
        draw=lambda step: torch.zeros_like(clean),
    )
    moves = list(answered(loop.run()))
    return loop.x, [move.action for move in moves]


@pytest.mark.parametrize("mode", ["fine", "selective"])
@pytest.mark.parametrize(("limit", "period"), [(1e-9, 2), (1e9, 1000)])
def test_limits_that_are_always_or_never_met_are_periods(mode, limit, period):
    """The step after a full pass is partial: only it can measure."""
    x, actions = walked(PlanConfig(refresh="drift", refresh_drift=limit), mode)
    first = actions[0].step
    wanted = [(step - first) % period == 0 for step in range(first, STEPS)]
    assert [isinstance(action, Full) for action in actions] == wanted
    if period == 1000:
        by_period, _ = walked(PlanConfig(refresh_every=1000), mode)
        assert torch.equal(x, by_period)


@settings(max_examples=15, deadline=None)
@given(limits=st.tuples(st.floats(0.01, 3), st.floats(0.01, 3)))
def test_a_tighter_limit_refreshes_no_later(limits):
    tight, lax = (
        [a.step for a in walked(PlanConfig(refresh="drift", refresh_drift=x))[1][1:]
         if isinstance(a, Full)]
        for x in sorted(limits)
    )  # fmt: skip
    assert not lax or (tight and tight[0] <= lax[0])


def test_the_period_is_the_default_and_its_bytes_are_as_ever():
    x, actions = walked(PlanConfig(refresh_every=4))
    again, _ = walked(PlanConfig(refresh="period", refresh_drift=0.01, refresh_every=4))
    assert torch.equal(x, again)
    assert sum(isinstance(action, Full) for action in actions) > 1


def test_only_what_was_written_counts_as_drift():
    then = torch.ones(4, 6, 2)
    now = then.clone()
    now[1, 2] = 1.5
    now[3, 0] = 1.5
    assert float(moved_share(now, then)) == pytest.approx(0.5)
    assert float(moved_share(then, then)) == 0


def test_the_pace_since_the_recording_decides_about_the_next_step():
    cache = LatentCache()
    cache.begin_record(4)
    cache.put("a.key", torch.ones(2, 3, 4))
    cache.put("a.value", torch.ones(2, 3, 4))
    watch = DriftWatch(0.25)
    assert not watch.due(cache, Full(step=4, next_step=5, frames=(0,), record=True))
    cache.get("a.key")[0] = cache.get("a.value")[0] = 1.2
    # A share of 0.2 over 1, 2 and 5 steps: 0.4, 0.3 and 0.24 at the next.
    late = [watch.due(cache, Partial(step=s, next_step=s + 1, frames=(0,))) for s in (5, 6, 9)]
    assert late == [True, True, False]


def test_the_report_says_what_ran_and_predictions_assume_the_period():
    engine = fake_engine(num_steps=10)
    drifting = fake_engine(num_steps=10, plan={"refresh": "drift", "refresh_drift": 1e9})
    by_period = engine.render(fake_scene(), mode="fine", quality=0.9, seed=0).report
    by_drift = drifting.render(fake_scene(), mode="fine", quality=0.9, seed=0).report
    assert by_drift.counts.full_steps <= by_period.counts.full_steps
    assert by_drift.predicted_denoise_seconds == by_period.predicted_denoise_seconds
    assert any("refreshed by drift, ran F" in note for note in by_drift.notes)
