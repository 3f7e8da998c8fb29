"""Refined frames that lost what the inputs prove are not served, and the report says so."""

from dataclasses import replace

import pytest
import torch

from sphinx_framework.errors import JobError
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine

FRAMES = 4


def engine_that_decodes(change, **evidence):
    engine = fake_engine(evidence=evidence)
    diffusion = engine.components.diffusion
    decode = diffusion.decode
    diffusion.decode = lambda latents: change(decode(latents))
    return engine


def rendered(change, mode="fine", **evidence):
    engine = engine_that_decodes(change, **evidence)
    return engine.render(fake_scene(FRAMES), mode=mode, quality=0.9)


def blocks(images):
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(len(images), 3, 4, 4, generator=generator)
    return torch.nn.functional.interpolate(small, images.shape[-2:])


PLANTED = {
    "black": torch.zeros_like,
    "white": torch.ones_like,
    "blocks": blocks,
    "noise": lambda x: torch.rand(x.shape, generator=torch.Generator().manual_seed(1)),
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("mode", ["coarse", "fine", "selective"])
def test_a_model_that_makes_other_pictures_is_not_served(kind, mode):
    result = rendered(PLANTED[kind], mode)
    refined = [frame for frame in result.report.frames if frame.steps_run]
    assert refined
    for frame in refined:
        assert frame.served == "regression"
        assert frame.missed
        assert "of what the inputs prove" in frame.reason
        assert frame.evidence < 0.9
        assert torch.equal(result.images[frame.index], result.coarse.images[frame.index])


def test_a_model_that_makes_nan_ends_the_request_with_its_name():
    engine = fake_engine()
    denoise = engine.components.diffusion.denoise
    engine.components.diffusion.denoise = lambda *given: denoise(*given) * float("nan")
    with pytest.raises(
        JobError, match=r"diffusion 'fake' .*predictions of step 24 hold NaN or infinity .*frame 0"
    ):
        engine.render(fake_scene(FRAMES), mode="fine", quality=0.9)


def test_a_model_that_keeps_the_render_is_served():
    engine = fake_engine(evidence={})
    coarse = engine.components.regression.predict(fake_scene(FRAMES)).images
    engine.components.diffusion.decode = lambda latents: coarse[: len(latents)]
    result = engine.render(fake_scene(FRAMES), mode="coarse", quality=0.9)
    refined = [frame for frame in result.report.frames if frame.steps_run]
    assert refined
    assert {frame.served for frame in refined} == {"refined"}
    assert all(frame.evidence > 0.9 and frame.reason is None for frame in refined)


def test_the_baseline_is_measured_and_served_as_it_is():
    frames = rendered(torch.zeros_like, "diffusion").report.frames
    assert {frame.served for frame in frames} == {"refined"}
    assert all(frame.evidence < 0.9 for frame in frames)


def test_the_guard_can_be_switched_off():
    frames = rendered(torch.zeros_like, guard=False).report.frames
    assert "refined" in {frame.served for frame in frames}


def test_targets_of_which_too_little_is_proven_are_served_as_rendered():
    engine = fake_engine(evidence={"guard": False, "min_opacity": 0.5})
    regression = engine.components.regression
    predict = regression.predict

    def uncertain(scene):
        coarse = predict(scene)
        opacity = coarse.opacity.clone()
        opacity[1] = 0.2
        return replace(coarse, opacity=opacity)

    regression.predict = uncertain
    report = engine.render(fake_scene(FRAMES), mode="fine", quality=0.9).report
    assert report.frames[1].reason == "the inputs prove too little of it"
    assert report.frames[1].start_step == report.num_steps
    assert any("min_opacity = 0.5" in note for note in report.notes)
