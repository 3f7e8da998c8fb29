"""The road of a request on fakes: modes, served frames, determinism."""

from dataclasses import replace

import pytest
import torch
from engines import CPU, FixedMask, FixedSteps, calls_of, engine_with, fixed_engine

from sphinx_framework.errors import ConfigError, InputError, JobError, SceneError
from sphinx_framework.plugin import Capabilities
from sphinx_framework.policy.schedule import MODES
from sphinx_framework.testing.fakes import FakeConfig, FakeRegression, fake_scene
from sphinx_framework.testing.pipeline import fake_engine
from sphinx_framework.types import CoarseViews

MIXED = (50, 20, 34, 50)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_renders_every_target_in_range(mode):
    result = fake_engine().render(fake_scene(), mode=mode)
    assert result.images.shape == (4, 3, 32, 32)
    assert torch.isfinite(result.images).all()
    assert float(result.images.min()) >= 0
    assert float(result.images.max()) <= 1
    assert result.report.mode == mode


@pytest.mark.parametrize("size", [(32, 32), (16, 48), (40, 24)])
@pytest.mark.parametrize("counts", [(1, 1), (1, 3), (5, 2), (3, 4)])
def test_any_number_of_targets_and_inputs_at_any_shape(size, counts):
    targets, inputs = counts
    scene = fake_scene(targets, inputs, size)
    result = fake_engine().render(scene, mode="selective", quality=0.9)
    assert result.images.shape == (targets, 3, *size)
    assert len(result.report.frames) == targets


def test_regression_serves_the_coarse_views_and_calls_no_diffusion():
    engine = fake_engine()
    result = engine.render(fake_scene(), mode="regression")
    assert torch.equal(result.images, result.coarse.images)
    assert calls_of(engine) == []
    assert {frame.served for frame in result.report.frames} == {"regression"}


@pytest.mark.parametrize("mode", ["fine", "selective"])
def test_served_frames_keep_the_exact_regression_pixels(mode):
    result = fixed_engine(MIXED).render(fake_scene(), mode=mode)
    for index, start in enumerate(MIXED):
        same = torch.equal(result.images[index], result.coarse.images[index])
        assert same == (start == 50)
        assert result.report.frames[index].served == ("regression" if same else "refined")


def test_coarse_refines_all_frames_from_the_earliest_start():
    engine = fixed_engine((30, 20, 45, 50))
    result = engine.render(fake_scene(), mode="coarse")
    assert [frame.start_step for frame in result.report.frames] == [20] * 4
    assert calls_of(engine) == [(step, 6) for step in range(20, 50)]


def test_diffusion_ignores_decisions_and_coarse_pixels():
    first = fixed_engine((10, 20, 30, 50)).render(fake_scene(), mode="diffusion")
    other = fixed_engine((50, 50, 50, 50)).render(fake_scene(), mode="diffusion")
    assert torch.equal(first.images, other.images)
    assert [frame.start_step for frame in first.report.frames] == [0] * 4


def test_frames_outside_of_the_region_are_served_in_selective_mode():
    parts = {"steps": FixedSteps((10, 10, 10, 10)), "mask": FixedMask(None, (0, 9, 0, 9), None)}
    result = engine_with(parts=parts).render(fake_scene(), mode="selective")
    assert [frame.served for frame in result.report.frames] == [
        "regression",
        "refined",
        "regression",
        "regression",
    ]


def test_pixels_outside_of_the_region_stay_exactly_the_regressions():
    parts = {
        "steps": FixedSteps((10, 10, 10, 10)),
        "mask": FixedMask(*[(9, 14, 17, 22)] * 4),
    }
    result = engine_with(parts=parts).render(fake_scene(), mode="selective")
    changed = (result.images != result.coarse.images).any(1)
    # Latent cells of 4 pixels, grown by one cell, in tiles of 8 pixels: rows 0-24, columns 8-32.
    assert bool(changed[:, 8:16, 16:24].any())
    assert not changed[:, 24:].any()
    assert not changed[:, :, :8].any()


def test_without_compositing_refined_frames_are_decoded_as_a_whole():
    parts = {"steps": FixedSteps((10,) * 4), "mask": FixedMask(*[(9, 14, 17, 22)] * 4)}
    engine = engine_with(parts=parts, plan={"composite": False})
    result = engine.render(fake_scene(), mode="selective")
    assert bool((result.images != result.coarse.images).any(1)[:, 24:].any())


@pytest.mark.parametrize("mode", MODES)
def test_the_same_seed_gives_the_same_bytes(mode):
    scene = fake_scene()
    first = fake_engine().render(scene, mode=mode, seed=3)
    second = fake_engine().render(scene, mode=mode, seed=3)
    assert torch.equal(first.images, second.images)


def test_another_seed_gives_other_frames():
    engine, scene = fixed_engine((10,) * 4), fake_scene()
    first, second = (engine.render(scene, mode="fine", seed=seed).images for seed in (0, 1))
    assert not torch.equal(first, second)


def test_an_engine_may_be_used_again_and_leaves_the_scene_alone():
    engine, scene = fake_engine(), fake_scene()
    before = scene.images.clone()
    first = engine.render(scene, mode="selective").images
    engine.render(fake_scene(seed=5), mode="fine")
    assert torch.equal(engine.render(scene, mode="selective").images, first)
    assert torch.equal(scene.images, before)


def test_global_random_state_is_neither_used_nor_changed():
    engine, scene = fixed_engine(MIXED), fake_scene()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = engine.render(scene, mode="fine")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(engine.render(scene, mode="fine").images, first.images)


def test_a_model_without_sparsity_renders_the_selective_mode_in_full_steps():
    engine = fixed_engine(MIXED, capabilities=Capabilities())
    report = engine.render(fake_scene(), mode="selective").report
    assert report.counts.partial_steps == 0
    assert any("no frame subsets" in note for note in report.notes)


@pytest.mark.parametrize("quality", [0, -0.5, 1.01, float("nan")])
def test_an_impossible_quality_is_refused_before_any_work(quality):
    engine = fake_engine()
    with pytest.raises(ConfigError, match=r"quality must lie in \(0, 1\]"):
        engine.render(fake_scene(), quality=quality)
    assert calls_of(engine) == []


def test_an_unknown_mode_is_refused():
    with pytest.raises(ConfigError, match=r"'finest' is unknown.*Modes: coarse, fine"):
        fake_engine().render(fake_scene(), mode="finest")  # type: ignore[arg-type]


def test_too_many_targets_are_refused():
    with pytest.raises(ConfigError, match="asks for 3 targets; the limit is 2"):
        fake_engine(max_targets=2).render(fake_scene(3))


def test_an_unusable_scene_is_refused():
    scene = fake_scene()
    with pytest.raises(SceneError, match="at least 1 input and 1 target"):
        fake_engine().render(
            type(scene)(images=scene.images, inputs=scene.inputs, targets=scene.targets[:0])
        )


def test_a_seed_of_any_size_is_accepted_or_refused():
    try:
        fixed_engine((49,) * 4).render(fake_scene(), mode="fine", seed=10**20)
    except InputError as error:
        assert "seed" in str(error)  # noqa: PT017 - both outcomes are fine


def test_a_regression_model_that_renders_too_few_views_is_reported():
    class OneView:
        def predict(self, scene):
            return CoarseViews(images=torch.zeros(1, 3, 32, 32))

    with pytest.raises(JobError, match="answered with images of shape"):
        engine_with(parts={"regression": OneView()}).render(fake_scene())


def test_planning_stops_before_diffusion():
    engine = fake_engine()
    coarse, decisions = engine.plan(fake_scene(), mode="fine", quality=0.9)
    assert coarse.images.shape == (4, 3, 32, 32)
    assert len(decisions.starts) == 4
    assert calls_of(engine) == []


def test_planning_decides_what_rendering_does():
    scene = fake_scene()
    _, decisions = fake_engine().plan(scene, mode="selective", quality=0.9)
    report = fake_engine().render(scene, mode="selective", quality=0.9).report
    assert report.schedule == decisions.schedules[0].text()
    assert [frame.start_step for frame in report.frames] == list(decisions.starts)


def test_the_number_of_threads_can_be_chosen():
    before = torch.get_num_threads()
    try:
        fake_engine(engine={"threads": 1})
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_the_mode_and_quality_of_the_config_are_the_defaults():
    report = fake_engine(mode="coarse", quality=0.8).render(fake_scene()).report
    assert (report.mode, report.quality_target) == ("coarse", 0.8)


def test_carried_detail_changes_refined_frames_only_and_stays_in_range():
    parts = {"steps": FixedSteps(MIXED)}
    carrying = engine_with(parts=parts, composite={"carry_detail": True})
    plain, carried = (
        engine.render(fake_scene(), mode="fine") for engine in (fixed_engine(MIXED), carrying)
    )
    for index, start in enumerate(MIXED):
        assert torch.equal(carried.images[index], plain.images[index]) == (start == 50)
    assert float(carried.images.min()) >= 0
    assert float(carried.images.max()) <= 1


def test_with_carried_detail_pixels_outside_of_the_region_are_still_the_regression_models():
    parts = {"steps": FixedSteps((10,) * 4), "mask": FixedMask(*[(9, 14, 17, 22)] * 4)}
    engine = engine_with(parts=parts, composite={"carry_detail": True})
    result = engine.render(fake_scene(), mode="selective")
    assert torch.equal(result.images[:, :, 24:], result.coarse.images[:, :, 24:])
    assert not torch.equal(result.images, result.coarse.images)


def test_the_share_of_the_render_grows_with_the_start_and_is_none_at_step_0():
    starts = (0, 10, 30, 50)
    shared = engine_with(parts={"steps": FixedSteps(starts)}, composite={"render_share": 0.5})
    plain, mixed = (
        engine.render(fake_scene(), mode="fine") for engine in (fixed_engine(starts), shared)
    )
    render = plain.coarse.images
    for index, start in enumerate(starts):
        weight = 0.5 * start / 50
        wanted = (1 - weight) * plain.images[index] + weight * render[index]
        torch.testing.assert_close(mixed.images[index], wanted, rtol=0, atol=1e-6)
    assert torch.equal(mixed.images[0], plain.images[0])
    dense = [e.render(fake_scene(), mode="diffusion") for e in (fake_engine(), shared)]
    assert torch.equal(dense[0].images, dense[1].images)


def test_with_a_share_of_the_render_pixels_outside_of_the_region_are_still_the_regression_models():
    parts = {"steps": FixedSteps((10,) * 4), "mask": FixedMask(*[(9, 14, 17, 22)] * 4)}
    engine = engine_with(parts=parts, composite={"render_share": 0.5})
    result = engine.render(fake_scene(), mode="selective")
    assert torch.equal(result.images[:, :, 24:], result.coarse.images[:, :, 24:])
    assert not torch.equal(result.images, result.coarse.images)


def test_without_known_opacity_no_detail_is_carried_and_the_report_says_so():
    class Unknown(FakeRegression):
        def predict(self, scene):
            return replace(super().predict(scene), opacity=None)

    parts = {"steps": FixedSteps((10,) * 4), "regression": Unknown(FakeConfig(), CPU)}
    engine = engine_with(parts=parts, composite={"carry_detail": True})
    result = engine.render(fake_scene(), mode="fine")
    assert any("no detail is carried" in note for note in result.report.notes)
