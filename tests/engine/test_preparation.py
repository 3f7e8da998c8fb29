"""What is known before diffusion is a value that hosts may keep and reuse."""

from dataclasses import replace

import pytest
import torch
from engines import FixedSteps, engine_with

from sphinx_framework.engine.events import CoarseReady, Finished, FrameFinal, StageDone
from sphinx_framework.errors import ConfigError, SceneError
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine

MEASURED = {"measured": "a test", "full": 0.01, "num_frames": 6}


def final(events):
    return next(event.result for event in events if isinstance(event, Finished))


@pytest.mark.parametrize("mode", ["coarse", "fine", "selective", "diffusion", "regression"])
def test_a_prepared_scene_renders_the_same_bytes_as_the_scene_itself(mode):
    scene = fake_scene()
    prepared = fake_engine().prepare(scene, mode=mode, quality=0.9)
    engine = fake_engine()
    for seed in (0, 5, 5):
        expected = fake_engine().render(scene, mode=mode, quality=0.9, seed=seed)
        result = final(engine.stream(prepared, seed=seed))
        assert torch.equal(result.images, expected.images)
        assert result.report.frames == expected.report.frames


def test_coarse_views_and_scores_are_reused_across_requests_with_equal_bytes():
    scene = fake_scene()
    engine = fake_engine()
    first = engine.prepare(scene, mode="coarse", quality=0.5)

    class Never:
        def predict(self, scene):
            raise AssertionError("regression ran again")

    reusing = engine_with(parts={"regression": Never()})
    prepared = reusing.prepare(
        scene, mode="fine", quality=0.95, coarse=first.coarse, report=first.report
    )
    assert prepared.seconds.regression == prepared.seconds.quality == 0
    expected = fake_engine().render(scene, mode="fine", quality=0.95, seed=3)
    assert torch.equal(reusing.render(prepared, seed=3).images, expected.images)


def test_results_of_another_scene_are_refused():
    engine = fake_engine()
    other = engine.prepare(fake_scene(3))
    with pytest.raises(SceneError, match="coarse views handed in"):
        engine.prepare(fake_scene(4), coarse=other.coarse)
    with pytest.raises(SceneError, match="quality report handed in"):
        engine.prepare(fake_scene(4), report=other.report)


def test_only_the_seed_of_a_prepared_scene_is_free():
    engine = fake_engine()
    prepared = engine.prepare(fake_scene())
    with pytest.raises(ConfigError, match="prepared scene has its"):
        engine.stream(prepared, quality=0.5)


def test_writing_into_events_does_not_reach_the_request():
    scene = fake_scene()
    expected = engine_with(parts={"steps": FixedSteps((10, 20, 30, 50))}).render(scene, mode="fine")
    engine = engine_with(parts={"steps": FixedSteps((10, 20, 30, 50))})
    for event in engine.stream(scene, mode="fine"):
        if isinstance(event, CoarseReady):
            event.coarse.images.zero_()
        elif isinstance(event, FrameFinal):
            event.image.zero_()
        elif isinstance(event, Finished):
            assert torch.equal(event.result.images, expected.images)


def test_every_stage_is_told_and_a_request_can_be_left_after_any_event():
    scene = fake_scene()
    parts = {"steps": FixedSteps((10, 20, 30, 50))}
    engine = engine_with(parts=parts, engine={"cache_budget_mb": 50})
    events = list(engine.stream(scene, mode="fine"))
    stages = [event.stage for event in events if isinstance(event, StageDone)]
    told = ["regression", "quality", "plan", "encode", "decode", "denoise", "quality"]
    assert stages == told
    for stop in range(1, len(events)):
        stream = engine.stream(scene, mode="fine")
        for _ in range(stop):
            next(stream)
        stream.close()
        assert engine.caches.leased_bytes == 0


def test_a_budget_belongs_to_one_request():
    engine = fake_engine(cost=MEASURED)
    scene = fake_scene()
    unbound = engine.prepare(scene, mode="fine", quality=0.95).decisions
    free, budget = unbound.starts, 500 * unbound.predicted_denoise_seconds
    tight = engine.prepare(scene, mode="fine", quality=0.95, budget_ms=budget).decisions.starts
    assert tight != free
    assert all(late >= early for late, early in zip(tight, free, strict=True))
    assert engine.prepare(scene, mode="fine", quality=0.95).decisions.starts == free


def test_what_components_say_cannot_steer_a_terminal():
    engine = fake_engine()
    predict = engine.components.regression.predict
    said = "\x1b]0;owned\x07 two\nlines"
    engine.components.regression.predict = lambda scene: replace(predict(scene), warnings=(said,))
    told = engine.render(fake_scene(), mode="regression").report.warnings
    assert "\\x1b]0;owned\\x07 two\\nlines" in told
