"""What is known of the images reaches an estimator that asks for it, and only that."""

from dataclasses import replace

import pytest
import torch

from sphinx_framework.engine.answers import checked
from sphinx_framework.engine.residence import Guest, Residence
from sphinx_framework.geometry.warps import warped
from sphinx_framework.protocols import LossEstimator, takes_evidence
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine
from sphinx_framework.testing.scenes import room_scene
from sphinx_framework.types import Cameras

FRAMES = 4


class Judge:
    """Scores everything alike, says that frames lost ``dB``, and keeps what it was handed."""

    def __init__(self, db=0.0):
        self.db, self.seen = db, []

    def score(self, images, opacity=None, *, evidence=None):
        self.seen.append(evidence)
        return torch.full((len(images),), 50.0)

    def lost(self, images, evidence):
        assert len(evidence.renders) == len(images)
        return torch.full((len(images),), self.db)


def rendered(judge, mode="coarse", **evidence):
    engine = fake_engine(evidence=evidence)
    coarse = engine.components.regression.predict(fake_scene(FRAMES)).images
    engine.components.diffusion.decode = lambda latents: coarse[: len(latents)]
    engine.components = replace(engine.components, quality=judge)
    return engine.render(fake_scene(FRAMES), mode=mode, quality=0.9)


def test_targets_and_photos_are_scored_with_what_is_known_of_them():
    judge = Judge()
    result = rendered(judge)
    views, photos, final = judge.seen
    assert torch.equal(views.renders, result.coarse.images)
    assert torch.equal(final.renders, result.coarse.images)
    assert torch.equal(photos.renders, photos.inputs)
    assert float(photos.opacity.min()) == 1


@pytest.mark.parametrize("why", ["regression", "all withheld"])
def test_frames_that_are_their_renders_are_not_scored_again(why):
    judge = Judge(9.0 if why == "all withheld" else 0.0)
    result = rendered(judge, "regression" if why == "regression" else "coarse")
    assert len(judge.seen) == 2  # the renders and the photos
    for frame in result.report.frames:
        assert frame.served == "regression"
        assert (frame.achieved_score, frame.achieved_ratio) == (50.0, 1.0)


def test_an_estimator_without_evidence_is_asked_as_before():
    class Plain:
        def score(self, images, opacity=None):
            return torch.full((len(images),), 50.0)

    assert not takes_evidence(Plain())
    frames = rendered(Plain()).report.frames
    assert {frame.lost for frame in frames} == {None}


def test_the_guard_around_a_component_keeps_what_it_can():
    engine = fake_engine()
    for judge, can in ((Judge(), True), (engine.components.quality, False)):
        parts = checked(replace(engine.components, quality=judge), engine.config)
        assert takes_evidence(parts.quality) is can
        assert isinstance(parts.quality, LossEstimator) is can


@pytest.mark.parametrize(("db", "served"), [(0.2, "refined"), (1.4, "regression")])
def test_a_frame_that_probably_lost_much_is_served_as_rendered(db, served):
    frames = [frame for frame in rendered(Judge(db)).report.frames if frame.steps_run]
    assert frames
    for frame in frames:
        assert frame.served == served
        assert frame.lost == pytest.approx(db)
        assert frame.missed is (served == "regression")
        assert (frame.reason is None) is (served == "refined")
    if served == "regression":
        assert "probably lost 1.40 dB" in frames[0].reason


def test_what_a_frame_may_lose_is_an_option():
    frames = rendered(Judge(1.4), most_lost=2.0).report.frames
    assert "refined" in {frame.served for frame in frames}


def test_baselines_are_not_judged():
    frames = rendered(Judge(9.0), "diffusion").report.frames
    assert {(frame.served, frame.lost) for frame in frames} == {("refined", None)}


def test_a_photo_seen_from_its_own_camera_is_the_photo():
    scene = room_scene(3, (32, 32))
    own = scene.inputs[[0, 1]]
    views, inside = warped(scene.images, scene.inputs, own, torch.full((2, 32, 32), 2.0))
    assert float((views[0] - scene.images).abs().max()) < 1e-3
    assert float(inside[0].min()) == 1


def test_what_has_no_depth_or_lies_behind_a_photo_is_not_seen_in_it():
    scene = room_scene(3, (32, 32))
    depth = torch.full((1, 32, 32), 2.0)
    depth[0, :16] = 0
    _, inside = warped(scene.images, scene.inputs, scene.inputs[[0]], depth)
    assert float(inside[0, 0, :16].max()) == 0
    turned = scene.inputs.world_from_camera[[0]] @ torch.diag(torch.tensor([-1.0, 1, -1, 1]))
    away = Cameras(
        world_from_camera=turned, intrinsics=scene.inputs.intrinsics[[0]], image_size=(32, 32)
    )
    _, inside = warped(scene.images, scene.inputs, away, torch.full((1, 32, 32), 2.0))
    assert float(inside[0].max()) == 0


def test_an_estimator_that_waits_on_the_host_asks_for_the_same():
    guest = Guest(Judge(), Residence(torch.device("cpu")))
    assert takes_evidence(guest)
    assert isinstance(guest, LossEstimator)
