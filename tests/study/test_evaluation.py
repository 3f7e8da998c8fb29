"""Measuring systems on scenes: recorded, resumed, relative to full diffusion."""

from dataclasses import replace

import pytest
import torch

from sphinx_framework.energy.meter import Energy
from sphinx_framework.errors import ConfigError
from sphinx_framework.metrics import psnr
from sphinx_framework.registry import Registry
from sphinx_framework.request import LARGEST_SEED
from sphinx_framework.study.evaluate.engines import EngineFactory
from sphinx_framework.study.evaluate.evaluation import (
    STAGES,
    Bench,
    evaluate,
    image_figures,
    request_seconds,
)
from sphinx_framework.study.evaluate.records import relative
from sphinx_framework.study.evaluate.settings import scene_seed
from sphinx_framework.study.evaluate.systems import (
    DENSE,
    OTHER_NOISE,
    baselines,
    methods,
    noise_floor,
)
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_config, fake_engine, fake_specs

CPU = torch.device("cpu")
CONFIG = fake_config(num_steps=3, quality=0.9)
SYSTEMS = [*baselines(CONFIG, (2,)), *methods(("fine",), (0.9,))]


class Counter:
    def __init__(self, joules):
        self.joules = joules

    def start(self):
        pass

    def stop(self):
        return Energy(joules=self.joules, note="a counter")


def bench(systems=SYSTEMS, config=CONFIG, **changes):
    engines = EngineFactory(Registry.from_specs(fake_specs()), "cpu").engines(config, systems)
    return Bench(engines=engines, systems=systems, machine="a machine", **changes)


def scene(index):
    plain = fake_scene(targets=2, size=(16, 16), seed=index)
    return replace(plain, target_images=plain.images.mean(0, keepdim=True).repeat(2, 1, 1, 1))


def scenes(count, loaded=None):
    def load(index):
        if loaded is not None:
            loaded.append(index)
        return scene(index)

    return [(f"set/{i}", lambda i=i: load(i)) for i in range(count)]


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return next(evaluate(bench(), scenes(1), tmp_path_factory.mktemp("one")))


def test_a_record_holds_what_the_engine_made(record):
    result = fake_engine(num_steps=3).render(
        scene(0), mode="fine", quality=0.9, seed=scene_seed("set/0", 0)
    )
    own = record.systems["fine 0.9"]
    assert own.scores == tuple(f.achieved_score for f in result.report.frames)
    assert own.starts == tuple(f.start_step for f in result.report.frames)
    assert own.values["psnr"] == pytest.approx(
        float(psnr(result.images, scene(0).target_images).mean())
    )
    assert own.values["frame_steps"] == result.report.counts.frame_steps


def test_seconds_are_the_sum_of_the_stages(record):
    for system in record.systems.values():
        stages = [system.values[f"seconds_{stage}"] for stage in STAGES]
        assert system.values["seconds"] == pytest.approx(sum(stages))


@pytest.mark.parametrize("mode", ["diffusion", "regression"])
def test_baselines_are_not_charged_for_scoring_and_planning(mode):
    result = fake_engine(num_steps=3).render(scene(0), mode=mode)
    assert result.report.seconds.quality > 0
    seconds = request_seconds(result)
    assert seconds["seconds_quality"] == seconds["seconds_plan"] == 0


def test_what_was_not_measured_is_absent(record):
    values = record.systems[DENSE].values
    assert not {"drift", "lpips", "joules", "predicted_denoise"} & values.keys()
    assert {"psnr", "ssim", "gms", "hole_psnr", "feature_drift"} <= values.keys()


def test_without_truth_only_figures_without_reference_are_there():
    result = fake_engine(num_steps=3).render(fake_scene(seed=1), mode="regression")
    assert set(image_figures(result, None, CPU, {})) == {"sharpness"}


def test_frames_too_small_for_ssim_have_none():
    small = fake_scene(targets=2, size=(8, 8))
    small = replace(small, target_images=small.images)
    result = fake_engine(num_steps=3).render(small, mode="regression")
    assert "ssim" not in image_figures(result, None, CPU, {})


def test_depth_gives_the_drift():
    result = fake_engine(num_steps=3).render(scene(0), mode="regression")
    deep = replace(result, coarse=replace(result.coarse, depth=torch.full((2, 16, 16), 4.0)))
    figures = image_figures(deep, None, CPU, {})
    assert 0 <= figures["drift"] == figures["drift_worst"]


def test_everything_is_relative_to_full_diffusion_on_the_same_scene(record):
    rows = relative(record, {s.name: s.quality for s in SYSTEMS}, DENSE)
    assert rows[DENSE]["kept"] == rows[DENSE]["met"] == rows[DENSE]["frames_met"] == 1
    assert rows[DENSE]["speedup"] == 1
    own, dense = record.systems["fine 0.9"], record.systems[DENSE]
    pairs = list(zip(own.scores, dense.scores, strict=True))
    assert rows["fine 0.9"]["kept"] == pytest.approx(sum(own.scores) / sum(dense.scores))
    assert rows["fine 0.9"]["frames_met"] == sum(a >= 0.9 * b for a, b in pairs) / len(pairs)


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    running = evaluate(bench(), scenes(2), tmp_path)
    first = next(running)
    running.close()
    loaded, resumed = [], []
    records = list(evaluate(bench(), scenes(2, loaded), tmp_path, resumed.append))
    assert loaded == [1]
    assert resumed == [len(SYSTEMS)]
    assert records[0] == first
    assert records[1].systems.keys() == first.systems.keys()


def test_another_system_is_added_to_what_is_there(tmp_path):
    first = next(evaluate(bench(SYSTEMS[:2]), scenes(1), tmp_path))
    heard = []
    more = bench(rendered=lambda: heard.append(1))
    second = next(evaluate(more, scenes(1), tmp_path))
    assert len(heard) == 2
    assert second.systems[DENSE] == first.systems[DENSE]
    assert set(second.systems) == {s.name for s in SYSTEMS}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"config": fake_config(num_steps=3, quality=0.9, gamma=0.8)}, "gamma: 0.5 then, 0.8 now"),
        ({"seed": 4}, "seed: 0 then, 4 now"),
        ({"repeats": 2}, "repeats: 1 then, 2 now"),
    ],
)
def test_results_of_other_settings_are_refused(tmp_path, changed, told):
    next(evaluate(bench(SYSTEMS[:2]), scenes(1), tmp_path))
    with pytest.raises(ConfigError, match=told):
        next(evaluate(bench(SYSTEMS[:2], **changed), scenes(1), tmp_path))


def test_results_of_another_machine_are_refused(tmp_path):
    next(evaluate(bench(SYSTEMS[:2]), scenes(1), tmp_path))
    elsewhere = replace(bench(SYSTEMS[:2]), machine="another one")
    with pytest.raises(ConfigError, match="machine: 'a machine' then, 'another one' now"):
        next(evaluate(elsewhere, scenes(1), tmp_path))


def test_a_damaged_record_is_named(tmp_path):
    next(evaluate(bench(SYSTEMS[:2]), scenes(1), tmp_path))
    path = next(tmp_path.iterdir())
    path.write_text("{}")
    with pytest.raises(ConfigError, match=path.name):
        next(evaluate(bench(SYSTEMS[:2]), scenes(1), tmp_path))


def test_repeats_have_noise_of_their_own_and_their_mean_counts(tmp_path):
    heard = []
    twice = bench(SYSTEMS[:2], repeats=2, rendered=lambda: heard.append(1))
    both = next(evaluate(twice, scenes(1), tmp_path)).systems[DENSE]
    assert len(heard) == 4
    first, second = (
        next(evaluate(bench(SYSTEMS[:2], seed=s), scenes(1), tmp_path / str(s))).systems[DENSE]
        for s in (0, 1)
    )
    assert first.scores != second.scores
    means = [(a + b) / 2 for a, b in zip(first.scores, second.scores, strict=True)]
    assert both.scores == pytest.approx(means)
    assert both.values["psnr"] == pytest.approx((first.values["psnr"] + second.values["psnr"]) / 2)


@pytest.mark.parametrize("joules", [7.5, None])
def test_energy_is_measured_where_a_meter_counts(tmp_path, monkeypatch, joules):
    meter = "sphinx_framework.engine.whole_request.choose_meter"
    monkeypatch.setattr(meter, lambda name, device: Counter(joules))
    record = next(evaluate(bench(SYSTEMS[:2]), scenes(1), tmp_path)).systems[DENSE]
    assert record.values.get("joules") == joules
    assert record.energy_note == "a counter"


def test_the_least_of_several_times_is_kept_beside_the_median(tmp_path):
    values = next(evaluate(bench(repeats=3), scenes(1), tmp_path)).systems[DENSE].values
    assert 0 < values["seconds_least"] <= values["seconds"] < values["seconds_request"]


def test_a_cost_table_decides_about_tiles_and_so_belongs_to_the_settings(tmp_path):
    next(evaluate(bench(SYSTEMS[:2]), scenes(1), tmp_path))
    priced = fake_config(num_steps=3, quality=0.9, cost={"tiles_base": 0.5})
    with pytest.raises(ConfigError, match=r"cost\.tiles_base"):
        next(evaluate(bench(SYSTEMS[:2], config=priced), scenes(1), tmp_path))


def test_no_two_seeds_of_a_study_draw_the_same_noise():
    asked = (0, 1, 2**31 - 1, 2**31, 2**31 + 1, LARGEST_SEED)
    drawn = {scene_seed("set/0", seed) for seed in asked}
    assert len(drawn) == len(asked)
    assert all(0 <= seed <= LARGEST_SEED for seed in drawn)


def test_the_noise_floor_is_full_diffusion_by_noise_that_no_repeat_used(tmp_path):
    systems = [*SYSTEMS[:2], noise_floor(CONFIG)]
    own = bench(systems, repeats=2)
    seeds = {s.name: [own.noise_seed("set/0", s, r) for r in (0, 1)] for s in systems}
    assert not set(seeds[OTHER_NOISE]) & set(seeds[DENSE])
    record = next(evaluate(own, scenes(1), tmp_path))
    assert record.systems[OTHER_NOISE].scores != record.systems[DENSE].scores
