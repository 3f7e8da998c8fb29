"""The finisher: pictures of any size the model takes, between estimates, nearer to the truth."""

import pytest
import torch
from torch.nn import functional

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.metrics import gradient_similarity, psnr, ssim
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.types import ScoreEvidence
from sphinx_framework_lite.config import DiffusionConfig
from sphinx_framework_lite.finisher import Finisher, finished, trusted
from sphinx_framework_lite.model import LiteDiffusion
from sphinx_framework_lite.photo_views import photo_views

CPU = torch.device("cpu")
MEASURES = (psnr, ssim, gradient_similarity)


@pytest.fixture(scope="module")
def model():
    return LiteDiffusion(DiffusionConfig(), CPU)


def pictures(size=(48, 80), count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, *size, generator=generator)


def evidence_of(renders, warps=2, opacity=None):
    count, size = len(renders), tuple(renders.shape[-2:])
    photos = (
        torch.stack([pictures(size, count, seed=5 + i) for i in range(warps)]) if warps else None
    )
    inside = None if photos is None else torch.ones_like(photos[:, :, 0])
    return ScoreEvidence(
        inputs=renders[:2], renders=renders, opacity=opacity, warps=photos, inside=inside
    )


def test_untrained_it_is_the_mean_of_the_frame_and_its_render():
    refined, renders = pictures(), pictures(seed=1)
    seen = photo_views(evidence_of(renders))
    finished = Finisher().eval()(refined, renders, torch.ones(3, 48, 80), *seen)
    torch.testing.assert_close(finished, (refined + renders) / 2)


@pytest.mark.parametrize("warps", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [(16, 16), (48, 80), (96, 96), (384, 384)])
def test_any_size_number_and_photos_stay_pictures(model, size, warps):
    refined, renders = pictures(size, 9), pictures(size, 9, seed=1)
    finished = model.finish(refined, evidence_of(renders, warps))
    assert finished.shape == refined.shape
    assert 0 <= float(finished.min()) <= float(finished.max()) <= 1


def test_an_unknown_opacity_counts_as_opaque(model):
    refined, renders = pictures(), pictures(seed=1)
    opaque = model.finish(refined, evidence_of(renders, opacity=torch.ones(3, 48, 80)))
    assert torch.equal(model.finish(refined, evidence_of(renders)), opaque)


def test_where_the_render_knows_nothing_half_of_the_refined_frame_stays():
    refined, made = pictures(), pictures(seed=1)
    opacity = torch.zeros(3, 48, 80)
    opacity[:, :, 40:] = 1
    served = trusted(made, refined, opacity)
    torch.testing.assert_close(served[..., :36], (refined + made)[..., :36] / 2)
    torch.testing.assert_close(served[..., 44:], made[..., 44:])


@pytest.mark.parametrize("size", [(33, 47), (34, 48), (33, 48)])
def test_odd_sides_are_finished_as_if_their_last_pixels_stood_there_twice(model, size):
    refined, renders = pictures(size), pictures(size, seed=1)
    made = finished(model._finisher, refined, evidence_of(renders, 0))
    assert made.shape == refined.shape
    down, right = size[0] % 2, size[1] % 2
    wide = [functional.pad(x, (0, right, 0, down), mode="replicate") for x in (refined, renders)]
    whole = finished(model._finisher, wide[0], evidence_of(wide[1], 0))
    torch.testing.assert_close(made, whole[..., : size[0], : size[1]])


def test_what_a_photo_does_not_see_counts_for_nothing(model):
    refined, renders = pictures(), pictures(seed=1)
    known = evidence_of(renders)
    known.inside[0, :, :, :40] = 0
    before = model.finish(refined, known)
    known.warps[0, ..., :40] = 0.5
    assert torch.equal(model.finish(refined, known), before)


def test_finished_frames_are_nearer_to_the_truth_than_those_with_a_share_of_the_render():
    gains = []
    sides = (["composite.finish=true"], ["composite.finish=false", "composite.render_share=0.8125"])
    for number in (970, 971, 972):
        scene = load_scene(f"procedural:report/{number}", size=(96, 96))
        engines = [Engine.from_config(load_config("lite", own), device="cpu") for own in sides]
        results = [engine.render(scene) for engine in engines]
        for result in results:
            assert {frame.served for frame in result.report.frames} == {"refined"}
        mine, theirs = (
            [float(measure(r.images, scene.target_images).mean()) for measure in MEASURES]
            for r in results
        )
        gains.append([a - b for a, b in zip(mine, theirs, strict=True)])
    decibels, *similarities = torch.tensor(gains).mean(0).tolist()
    assert decibels > 0.1
    assert min(similarities) > 0.002
