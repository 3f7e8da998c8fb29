"""Measuring step times on this machine."""

from dataclasses import replace

import pytest
import torch
from engines import calls_of

from sphinx_framework.energy.meter import Energy
from sphinx_framework.errors import CapabilityError
from sphinx_framework.plugin import Capabilities
from sphinx_framework.study.step_costs import (
    configurations,
    measure_costs,
    measure_stages,
    prepare,
    timed,
)
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine


def test_every_kind_of_step_is_measured_and_a_model_is_fitted():
    engine = fake_engine()
    cost, samples = measure_costs(engine, fake_scene(), seconds=0.01)
    assert {sample.kind for sample in samples} == {"dense", "frames", "full", "tiles"}
    assert all(sample.seconds > 0 for sample in samples)
    assert all(0 < sample.share <= 1 for sample in samples)
    assert cost.num_frames == 6
    assert cost.full == next(s.seconds for s in samples if s.kind == "full")
    assert "6 frames of 32x32, fake" in cost.measured


def test_a_model_without_tiles_is_measured_without_them():
    engine = fake_engine(Capabilities(frame_subset=True))
    _, samples = measure_costs(engine, fake_scene(), seconds=0.01)
    assert {sample.kind for sample in samples} == {"dense", "full", "frames"}


def test_a_model_that_runs_full_steps_only_has_nothing_to_measure():
    with pytest.raises(CapabilityError, match="'fake' runs full steps only"):
        measure_costs(fake_engine(Capabilities()), fake_scene(), seconds=0.01)


def test_every_configuration_computes_the_share_it_claims():
    engine = fake_engine()
    subject = prepare(engine, fake_scene())
    engine.components.diffusion.calls.clear()
    with torch.no_grad():
        for kind, share, call in configurations(subject, tiles=True):
            call()
            _, rows = calls_of(engine)[-1]
            tiles = (subject.x.shape[2] // 2) * (subject.x.shape[3] // 2)
            computed = rows / (6 * tiles) if kind == "tiles" else rows / 6
            assert computed == pytest.approx(share)


def test_calls_take_turns_at_least_three_times_after_a_warm_up():
    runs = []
    calls = [lambda name=name: runs.append(name) or torch.zeros(1) for name in "ab"]
    first, second = timed(calls, torch.device("cpu"), 0.0)
    assert runs == [*"ab"] * 4
    assert first >= 0
    assert second >= 0


def test_the_stages_around_the_loop_are_measured_with_the_steps():
    cost, _ = measure_costs(fake_engine(), fake_scene(), seconds=0.01)
    stages = ("regression_seconds", "quality_seconds", "plan_seconds")
    frames = ("encode_per_frame", "decode_per_frame")
    assert all(getattr(cost, name) > 0 for name in (*stages, *frames))


def test_the_share_of_the_scores_that_renders_take_is_measured_where_they_are_scored_once():
    class Judge:
        def score(self, images, opacity=None, *, evidence=None):
            return torch.full((len(images),), 50.0)

    plain = fake_engine()
    assert measure_stages(plain, fake_scene())["quality_of_renders"] == 1
    plain.components = replace(plain.components, quality=Judge())
    assert 0 < measure_stages(plain, fake_scene())["quality_of_renders"] < 1


def test_power_is_measured_only_where_a_meter_counts(monkeypatch):
    class Counter:
        def start(self):
            pass

        def stop(self):
            return Energy(joules=1e6, note="a counter")

    unmeasured, _ = measure_costs(fake_engine(), fake_scene(), seconds=0.01)
    assert unmeasured.watts is None
    choose = "sphinx_framework.study.step_costs.choose_meter"
    monkeypatch.setattr(choose, lambda name, device: Counter())
    assert measure_costs(fake_engine(), fake_scene(), seconds=0.01)[0].watts > 0
