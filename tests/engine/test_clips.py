"""Models that need several passes: given frames, noise, masks and counts across clips."""

import torch
from engines import CPU, FixedMask, FixedSteps, TwoClipDiffusion, calls_of, engine_with

from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion, fake_scene


def two_clips(steps, *, masks=None, **config):
    model = TwoClipDiffusion(FakeConfig(), CPU)
    parts = {"steps": FixedSteps(steps), "diffusion": model}
    if masks:
        parts["mask"] = FixedMask(*masks)
    return engine_with(parts=parts, **config), model


def test_every_target_is_made_once_whatever_the_clips():
    engine, _ = two_clips((10, 20, 30, 50))
    result = engine.render(fake_scene(), mode="fine")
    assert [frame.start_step for frame in result.report.frames] == [10, 20, 30, 50]
    assert [frame.steps_run for frame in result.report.frames] == [40, 30, 20, 0]
    assert torch.equal(result.images[3], result.coarse.images[3])


def test_a_given_target_enters_the_next_clip_as_it_was_finished():
    engine, model = two_clips((10, 20, 30, 40))
    result = engine.render(fake_scene(), mode="fine")
    first, second = model.encoded
    assert torch.equal(first[1], result.coarse.images[2])
    assert torch.equal(second[1], result.images[2])
    assert not torch.equal(first[1], second[1])


def test_a_given_target_is_not_changed_by_the_clip_it_conditions():
    scene = fake_scene()
    engine, _ = two_clips((10, 20, 30, 40))
    all_made = engine.render(scene, mode="fine")
    engine, _ = two_clips((50, 50, 30, 50))
    one_made = engine.render(scene, mode="fine")
    assert torch.equal(all_made.images[2], one_made.images[2])


def test_a_clip_without_anything_to_refine_is_skipped():
    engine, model = two_clips((50, 50, 30, 50))
    report = engine.render(fake_scene(), mode="fine").report
    assert len(model.encoded) == 1
    assert report.schedule.splitlines()[1] == "clip 1: (nothing to denoise)"
    assert {entry.clip for entry in report.trace} == {0}


def test_a_frames_noise_does_not_depend_on_its_clip():
    class PerFrame(TwoClipDiffusion):
        def denoise(self, x, step, condition, ops):
            return 0.9 * torch.tanh(x)

    class OneClip(FakeDiffusion):
        denoise = PerFrame.denoise

    def images(model):
        parts = {"steps": FixedSteps((10, 20, 30, 40)), "diffusion": model(FakeConfig(), CPU)}
        return engine_with(parts=parts).render(fake_scene(), mode="fine", seed=5).images

    torch.testing.assert_close(images(PerFrame), images(OneClip))


def test_regions_follow_their_targets_into_the_clips():
    masks = [(0, 4, 0, 4), None, (24, 28, 24, 28), (8, 24, 8, 24)]
    engine, _ = two_clips((10, 10, 10, 10), masks=masks, plan={"region_dilation": 0})
    result = engine.render(fake_scene(), mode="selective")
    first, second = result.schedules
    assert first.region[1].nonzero().tolist() == [[3, 3]]
    assert not first.region[[0, 2]].any()
    assert second.region[2].nonzero().tolist() == [[0, 0]]
    assert not second.region[[0, 1, 3, 5]].any()
    changed = (result.images != result.coarse.images).any(1)
    assert not changed[0, 8:].any()
    assert not changed[1].any()
    assert not changed[2, :24].any()


def test_counts_add_up_over_clips():
    engine, _ = two_clips((10, 20, 30, 50))
    report = engine.render(fake_scene(), mode="fine").report
    assert report.counts.frame_steps_dense == 50 * (3 + 6)
    assert report.counts.frame_steps == sum(rows for _, rows in calls_of(engine))
    assert report.counts.full_steps + report.counts.partial_steps == len(calls_of(engine))
    assert report.schedule.startswith("clip 0: F30 P31[1]")
