"""Frames that the diffusion model finishes: which, when, and what is refused."""

import re

import pytest
import torch
from engines import CPU, FixedMask, FixedSteps, engine_with, fixed_engine

from sphinx_framework.engine.scoring import target_evidence
from sphinx_framework.errors import ConfigError, JobError
from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion, fake_scene
from sphinx_framework.testing.pipeline import fake_engine


class Finishing(FakeDiffusion):
    """A quarter of the render in every frame, more where the render is opaque."""

    def finish(self, refined, evidence):
        weight = 0.25 + 0.25 * evidence.opacity[:, None]
        return refined + weight * (evidence.renders - refined)


def finishing_engine(starts, evidence=None, **parts):
    own = {"steps": FixedSteps(starts), "diffusion": Finishing(FakeConfig(), CPU)}
    also = {} if evidence is None else {"evidence": evidence}
    return engine_with(parts=own | parts, composite={"finish": True}, **also)


def test_a_model_finishes_refined_frames_only_from_any_start():
    starts = (0, 10, 30, 50)
    plain = fixed_engine(starts).render(fake_scene(), mode="fine")
    finished = finishing_engine(starts).render(fake_scene(), mode="fine")
    render, opacity = plain.coarse.images, plain.coarse.opacity
    for index, start in enumerate(starts):
        weight = 0.0 if start == 50 else 0.25 + 0.25 * opacity[index]
        wanted = plain.images[index] + weight * (render[index] - plain.images[index])
        torch.testing.assert_close(finished.images[index], wanted, rtol=0, atol=1e-6)
    assert torch.equal(finished.images[3], finished.coarse.images[3])


def test_full_diffusion_is_finished_too():
    plain = fake_engine().render(fake_scene(), mode="diffusion")
    finished = finishing_engine((10,) * 4).render(fake_scene(), mode="diffusion")
    model = Finishing(FakeConfig(), CPU)
    coarse = plain.coarse
    wanted = model.finish(plain.images, target_evidence(fake_scene(), coarse))
    torch.testing.assert_close(finished.images, wanted, rtol=0, atol=1e-6)


def test_the_guard_sees_what_was_painted_and_withheld_frames_stay_renders():
    """A frame that finishing would bring near enough to its render is still judged as painted."""

    class Black(Finishing):
        def decode(self, latents):
            return torch.zeros_like(super().decode(latents))

        def finish(self, refined, evidence):
            return evidence.renders.clone()

    black, all_of_it = Black(FakeConfig(), CPU), {"least": 1.0, "tolerance": 0.01}
    engine = finishing_engine((10, 20, 30, 50), all_of_it, diffusion=black)
    result = engine.render(fake_scene(), mode="fine")
    assert torch.equal(result.images, result.coarse.images)
    assert [frame.start_step for frame in result.report.frames] == [10, 20, 30, 50]
    assert {frame.served for frame in result.report.frames} == {"regression"}


def test_a_finish_that_loses_what_is_proven_is_not_served():
    renders = fixed_engine((50,) * 4).render(fake_scene(), mode="regression").images

    class Faithful(Finishing):
        def decode(self, latents):
            return renders[: len(latents)].clone()

    class Spoiling(Faithful):
        def finish(self, refined, evidence):
            made = super().finish(refined, evidence)
            made[1] = 0
            return made

    def asked(model, mode):
        engine = finishing_engine((10, 20, 30, 50), {}, diffusion=model(FakeConfig(), CPU))
        return engine.render(fake_scene(), mode=mode)

    right, spoilt = asked(Faithful, "fine"), asked(Spoiling, "fine")
    frame = spoilt.report.frames[1]
    assert (frame.served, frame.missed) == ("regression", True)
    assert re.match(r"finishing kept \d+ % of what the inputs prove", frame.reason)
    assert frame.evidence < 0.9 < right.report.frames[1].evidence
    assert torch.equal(spoilt.images[1], spoilt.coarse.images[1])
    served = [[frame.served for frame in result.report.frames] for result in (right, spoilt)]
    assert served[0] == ["refined", "refined", "refined", "regression"]
    assert served[1] == ["refined", "regression", "refined", "regression"]
    assert torch.equal(spoilt.images[[0, 2, 3]], right.images[[0, 2, 3]])
    # Full diffusion is the baseline: measured, and served as it is.
    full = asked(Spoiling, "diffusion")
    assert {frame.served for frame in full.report.frames} == {"refined"}
    assert not full.images[1].any()


def test_finished_pixels_outside_of_the_region_are_still_the_regression_models():
    class Brighter(Finishing):
        def finish(self, refined, evidence):
            return (super().finish(refined, evidence) + 0.1).clamp(0, 1)

    parts = {"mask": FixedMask(*[(9, 14, 17, 22)] * 4), "diffusion": Brighter(FakeConfig(), CPU)}
    result = finishing_engine((10,) * 4, **parts).render(fake_scene(), mode="selective")
    assert torch.equal(result.images[:, :, 24:], result.coarse.images[:, :, 24:])
    assert not torch.equal(result.images, result.coarse.images)


def test_to_finish_is_asked_only_of_models_that_can():
    with pytest.raises(ConfigError, match=r"composite.finish is set, but 'fake'"):
        engine_with(composite={"finish": True}).render(fake_scene(), mode="fine")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda frames: frames[:1], "shape"),
        (lambda frames: frames * float("nan"), "NaN"),
        (lambda frames: frames + 7, "finished images"),
        (lambda frames: None, "NoneType"),
    ],
)
def test_wrong_finished_frames_are_named(answer, says):
    class Wrong(Finishing):
        def finish(self, refined, evidence):
            return answer(super().finish(refined, evidence))

    engine = finishing_engine((10,) * 4, diffusion=Wrong(FakeConfig(), CPU))
    with pytest.raises(JobError, match=says) as caught:
        engine.render(fake_scene(), mode="fine")
    assert (caught.value.component, caught.value.stage) == ("fake", "decode")


def test_finished_frames_take_no_share_of_the_render():
    own = {"steps": FixedSteps((10, 20, 30, 40)), "diffusion": Finishing(FakeConfig(), CPU)}
    both = engine_with(parts=own, composite={"finish": True, "render_share": 0.5})
    plain = finishing_engine((10, 20, 30, 40)).render(fake_scene(), mode="fine")
    assert torch.equal(both.render(fake_scene(), mode="fine").images, plain.images)
