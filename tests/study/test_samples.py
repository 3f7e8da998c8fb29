"""Calibration samples: measured once, resumed, and never mixed with other settings."""

from dataclasses import replace

import pytest
import torch

from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import ConfigError, JobError
from sphinx_framework.frame_plan import FramePlan
from sphinx_framework.study.calibrate.calibration import calibrated
from sphinx_framework.study.calibrate.fit import Fit
from sphinx_framework.study.calibrate.samples import (
    collect,
    read_samples,
    sample_scene,
    samples_digest,
)
from sphinx_framework.study.calibrate.sampling import FixedPlan, Sampling, usual_spacing
from sphinx_framework.study.evaluate.settings import scene_seed
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine

SAMPLING = Sampling(spacing=2)


def engine(**changes):
    return fake_engine(num_steps=4, **changes)


def scenes(count, loaded=None):
    def load(index):
        if loaded is not None:
            loaded.append(index)
        return fake_scene(targets=2, size=(16, 16), seed=index)

    return [(f"set/{i}", lambda i=i: load(i)) for i in range(count)]


def test_a_sample_holds_what_the_engine_reports():
    short = engine(plan={"max_steps": 2})
    sample = sample_scene(short, fake_scene(seed=3), "one", SAMPLING)
    seed = scene_seed("one", 0)
    dense = engine().render(fake_scene(seed=3), mode="diffusion", seed=seed).report
    plain = engine().render(fake_scene(seed=3), mode="regression", seed=seed).report
    parts = replace(short.components, steps=FixedPlan(FramePlan(0)))
    first = Engine(parts, short.config).render(fake_scene(seed=3), mode="coarse", seed=seed)
    for index, target in enumerate(sample.targets):
        assert list(target.scores) == ["0x4", "0", "2", "4"]
        assert target.scores["0x4"] == target.full
        assert target.ratio == pytest.approx(dense.frames[index].ratio)
        assert target.full == pytest.approx(dense.frames[index].achieved_score)
        assert target.scores["0"] == pytest.approx(first.report.frames[index].achieved_score)
        assert target.scores["0"] != target.full  # the walk is shorter than full diffusion's
        assert target.scores["4"] == pytest.approx(plain.frames[index].achieved_score)
        assert target.kept("0") == target.scores["0"] / target.full


def test_repeats_draw_other_noise_and_their_mean_score_counts():
    heard = []
    twice = replace(SAMPLING, repeats=2)
    both = sample_scene(engine(), fake_scene(), "one", twice, lambda: heard.append(1))
    assert len(heard) == twice.renders(4) == 8
    first, second = (
        sample_scene(engine(), fake_scene(), "one", replace(SAMPLING, seed=s)) for s in (0, 1)
    )
    for mean, a, b in zip(both.targets, first.targets, second.targets, strict=True):
        assert a.full != b.full
        assert mean.full == pytest.approx((a.full + b.full) / 2)
        assert mean.scores["0"] == pytest.approx((a.scores["0"] + b.scores["0"]) / 2)
        assert mean.ratio == a.ratio == b.ratio
        assert mean.reference == a.reference


def test_the_grid_holds_full_diffusion_plain_few_steps_late_starts_and_the_regression_frame():
    """All competitors are points of the space; a number of steps beyond what remains is none."""
    grid = Sampling(starts=(0, 40, 47), steps=(1, 2, 3, None), solvers=("dpmpp_2m",))
    assert [plan.text() for plan in grid.plans(50)] == [
        "0x50", "0x1", "0x2", "0x3", "0x3:dpmpp_2m", "0",
        "40x1", "40x2", "40x3", "40x3:dpmpp_2m", "40",
        "47x1", "47x2", "47", "50",
    ]  # fmt: skip
    plain = Sampling(starts=(0, 40), steps=(1, 2), few_steps=(2, 5), solvers=("dpmpp_2m",))
    assert [plan.text() for plan in plain.plans(50)] == [
        "0x50", "0x1", "0x2", "40x1", "40x2", "0x5", "0x5:dpmpp_2m", "50",
    ]  # fmt: skip
    usual = {steps: usual_spacing(steps) for steps in (1, 2, 4, 9, 10, 50)}
    assert usual == {1: 1, 2: 1, 4: 2, 9: 4, 10: 5, 50: 5}
    starts = [plan.start for plan in Sampling(spacing=3).plans(7)]
    assert starts == [0, 0, 3, 6, 7]


def test_similarity_to_ground_truth_is_kept_where_there_is_some():
    known = replace(fake_scene(seed=3), target_images=torch.rand(4, 3, 32, 32))
    seen = sample_scene(engine(), known, "one", SAMPLING)
    assert all(set(target.similarities) == set(target.scores) for target in seen.targets)
    unseen = sample_scene(engine(), fake_scene(seed=3), "one", SAMPLING)
    assert all(target.similarities == {} for target in unseen.targets)


def test_targets_that_no_plan_may_refine_are_marked():
    guarded = engine(evidence={"min_opacity": 1.0})
    fine = replace(SAMPLING, mode="fine")
    assert all(t.held for t in sample_scene(guarded, fake_scene(), "one", fine).targets)
    assert not any(t.held for t in sample_scene(engine(), fake_scene(), "one", fine).targets)


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    running = collect(engine(), scenes(3), tmp_path, SAMPLING)
    next(running)
    running.close()
    loaded, resumed = [], []
    samples = list(collect(engine(), scenes(3, loaded), tmp_path, SAMPLING, resumed=resumed.append))
    assert loaded == [1, 2]
    assert resumed == [1]
    whole = list(collect(engine(), scenes(3), tmp_path / "anew", SAMPLING))
    assert samples == whole


def test_nothing_half_written_is_left(tmp_path):
    list(collect(engine(), scenes(2), tmp_path, SAMPLING))
    assert [path.suffix for path in tmp_path.iterdir()] == [".json", ".json"]


def test_rules_fitted_to_the_recorded_samples_are_the_same(tmp_path):
    samples = list(collect(engine(), scenes(4), tmp_path, SAMPLING))
    options = {"clusters": None, "min_scenes": 2, "fit": Fit(min_samples=2)}
    again = read_samples(tmp_path)
    assert calibrated(again, (0.95,), **options) == calibrated(samples, (0.95,), **options)
    assert samples_digest(again) == samples_digest(samples)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"gamma": 0.7}, "gamma: 0.5 then, 0.7 now"),
        ({"num_steps": 5}, "num_steps: 4 then, 5 now"),
        ({"size": (24, 24)}, "size"),
        ({"plan": {"stride": 2}}, "plan.stride: 1 then, 2 now"),
    ],
)
def test_samples_of_other_settings_are_refused_by_name(tmp_path, changed, named):
    list(collect(engine(), scenes(1), tmp_path, SAMPLING))
    with pytest.raises(ConfigError, match=named):
        list(collect(fake_engine(**{"num_steps": 4, **changed}), scenes(1), tmp_path, SAMPLING))


def test_another_grid_mode_or_seed_is_refused(tmp_path):
    list(collect(engine(), scenes(1), tmp_path, SAMPLING))
    for other in (Sampling(spacing=1), Sampling(spacing=2, seed=1)):
        with pytest.raises(ConfigError, match="other settings"):
            list(collect(engine(), scenes(1), tmp_path, other))


def test_new_weights_under_the_same_name_are_refused(tmp_path):
    list(collect(engine(), scenes(1), tmp_path, SAMPLING))
    trained = engine()
    with torch.no_grad():
        next(trained.components.diffusion.network.parameters()).mul_(1.5)
    with pytest.raises(ConfigError, match="weights"):
        list(collect(trained, scenes(1), tmp_path, SAMPLING))


def test_the_step_policy_and_what_is_asked_for_do_not_matter(tmp_path):
    list(collect(engine(), scenes(1), tmp_path, SAMPLING))
    other = engine(quality=0.7, mode="fine", name="renamed")
    assert len(list(collect(other, scenes(1), tmp_path, SAMPLING))) == 1


def test_a_damaged_file_is_named_and_not_used(tmp_path):
    list(collect(engine(), scenes(1), tmp_path, SAMPLING))
    path = next(tmp_path.iterdir())
    path.write_text(path.read_text()[:40])
    with pytest.raises(ConfigError, match=f"{path.name}: is no recorded sample"):
        list(collect(engine(), scenes(1), tmp_path, SAMPLING))


def test_scenes_whose_names_look_alike_have_files_of_their_own(tmp_path):
    pair = [("a/b", lambda: fake_scene(seed=0)), ("a_b", lambda: fake_scene(seed=1))]
    list(collect(engine(), pair, tmp_path, SAMPLING))
    assert {sample.scene for sample in read_samples(tmp_path)} == {"a/b", "a_b"}


class NegativeQuality:
    def score(self, images, opacity=None):
        return -images.mean((1, 2, 3))


def test_scores_that_are_not_positive_are_refused():
    fakes = engine()
    negative = Engine(replace(fakes.components, quality=NegativeQuality()), fakes.config)
    with pytest.raises(JobError, match=r"answered with scores in .* expected: numbers >= 0"):
        sample_scene(negative, fake_scene(), "one", SAMPLING)


def test_progress_hears_of_every_render(tmp_path):
    heard = []
    list(collect(engine(), scenes(2), tmp_path, SAMPLING, rendered=lambda: heard.append(1)))
    assert len(heard) == 2 * 4


@pytest.mark.parametrize(
    ("wished", "told"),
    [
        ({"starts": (0, 2), "steps": (2, 3)}, "--steps 2,3: from start 2 only 2 are left"),
        ({"steps": (9,)}, "--steps 9: from start 0 only 4"),
        ({"few_steps": (4,)}, "--few-steps 4: the pipeline has 4 steps"),
    ],
)
def test_steps_that_no_plan_can_have_are_refused(wished, told):
    with pytest.raises(ConfigError, match=told):
        Sampling(**wished).check(4)


def test_where_some_walk_fits_every_start_the_others_are_left_out():
    Sampling(starts=(0, 2), steps=(1, 3), few_steps=(3,)).check(4)
    Sampling(starts=(0, 3), steps=(5, None)).check(4)
