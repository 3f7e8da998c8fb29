"""Sizes of scenes: those of the pipeline, and those that a model refuses."""

import pytest
import torch
from engines import fixed_engine

from sphinx_framework.errors import InputError, SceneError
from sphinx_framework.testing.fakes import FakeDiffusion, FakeRegression, fake_scene
from sphinx_framework.testing.pipeline import fake_engine


def test_a_scene_of_another_size_than_the_pipelines_is_fitted_and_says_so():
    engine = fake_engine(size=(32, 48))
    report = engine.render(fake_scene(size=(64, 48)), mode="regression").report
    assert any("is 48x64, and was fitted (crop) to the" in text for text in report.warnings)
    kept = engine.render(fake_scene(size=(32, 48)), mode="regression").report
    assert not any("was fitted" in text for text in kept.warnings)


@pytest.mark.parametrize("size", [(30, 32), (32, 36)])
def test_a_scene_whose_size_does_not_fit_the_model_is_refused(size):
    with pytest.raises(InputError):
        fixed_engine((10,) * 4).render(fake_scene(size=size), mode="selective")


@pytest.mark.parametrize("mode", ["fine", "diffusion"])
def test_what_the_diffusion_model_refuses_costs_no_render(mode, monkeypatch):
    engine, rendered = fake_engine(), []

    def refuse(scene):
        raise SceneError("frames of 32x32 are not legal.")

    monkeypatch.setattr(FakeDiffusion, "layouts", lambda self, scene: refuse(scene))
    monkeypatch.setattr(FakeRegression, "predict", lambda self, scene: rendered.append(scene))
    with pytest.raises(SceneError, match="not legal"):
        engine.render(fake_scene(), mode=mode)
    assert rendered == []


def test_mode_regression_serves_what_only_the_diffusion_model_refuses(monkeypatch):
    def refuse(self, scene):
        raise SceneError("frames of 32x32 are not legal.")

    served = fake_engine().render(fake_scene(), mode="regression")
    monkeypatch.setattr(FakeDiffusion, "layouts", refuse)
    refused = fake_engine().render(fake_scene(), mode="regression")
    assert torch.equal(refused.images, served.images)
    assert refused.report.counts.frame_steps_dense == served.report.counts.frame_steps_dense
    assert any("32x32 are not legal" in note for note in refused.report.notes)
