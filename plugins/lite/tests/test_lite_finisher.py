"""The finishers: pictures of any size the model takes, between estimates, nearer to the truth."""

import pytest
import torch

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.metrics import gradient_similarity, psnr, ssim
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.types import ScoreEvidence
from sphinx_framework_lite.config import DiffusionConfig
from sphinx_framework_lite.finisher import Finisher
from sphinx_framework_lite.model import LiteDiffusion
from sphinx_framework_lite.photo_finisher import PhotoFinisher, trusted
from sphinx_framework_lite.photo_views import photo_views

CPU = torch.device("cpu")
MEASURES = (psnr, ssim, gradient_similarity)


@pytest.fixture(scope="module", params=["render", "photos"])
def any_model(request):
    return LiteDiffusion(DiffusionConfig(finisher=request.param), CPU)


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


def test_untrained_it_is_the_mean_of_both():
    refined, renders = pictures(), pictures(seed=1)
    finished = Finisher().eval()(refined, renders, torch.ones(3, 48, 80))
    torch.testing.assert_close(finished, (refined + renders) / 2)


def test_untrained_it_is_the_mean_of_the_frame_and_its_render():
    refined, renders = pictures(), pictures(seed=1)
    seen = photo_views(evidence_of(renders))
    finished = PhotoFinisher().eval()(refined, renders, torch.ones(3, 48, 80), *seen)
    torch.testing.assert_close(finished, (refined + renders) / 2)


@pytest.mark.parametrize("warps", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [(16, 16), (48, 80), (96, 96), (384, 384)])
def test_any_size_number_and_photos_stay_pictures(any_model, size, warps):
    refined, renders = pictures(size, 9), pictures(size, 9, seed=1)
    finished = any_model.finish(refined, evidence_of(renders, warps))
    assert finished.shape == refined.shape
    assert 0 <= float(finished.min()) <= float(finished.max()) <= 1


def test_an_unknown_opacity_counts_as_opaque(any_model):
    refined, renders = pictures(), pictures(seed=1)
    opaque = any_model.finish(refined, evidence_of(renders, opacity=torch.ones(3, 48, 80)))
    assert torch.equal(any_model.finish(refined, evidence_of(renders)), opaque)


def test_where_the_render_knows_nothing_half_of_the_refined_frame_stays():
    refined, made = pictures(), pictures(seed=1)
    opacity = torch.zeros(3, 48, 80)
    opacity[:, :, 40:] = 1
    served = trusted(made, refined, opacity)
    torch.testing.assert_close(served[..., :36], (refined + made)[..., :36] / 2)
    torch.testing.assert_close(served[..., 44:], made[..., 44:])


def test_what_a_photo_does_not_see_counts_for_nothing():
    model = LiteDiffusion(DiffusionConfig(finisher="photos"), CPU)
    refined, renders = pictures(), pictures(seed=1)
    known = evidence_of(renders)
    known.inside[0, :, :, :40] = 0
    before = model.finish(refined, known)
    known.warps[0, ..., :40] = 0.5
    assert torch.equal(model.finish(refined, known), before)


def gains(*sides):
    """What one pipeline gains over the other: PSNR, SSIM, GMS, on scenes nothing was trained on."""
    found = []
    for number in (970, 971, 972):
        scene = load_scene(f"procedural:report/{number}", size=(96, 96))
        one, other = (Engine.from_config(load_config("lite", own), device="cpu") for own in sides)
        results = [engine.render(scene) for engine in (one, other)]
        for result in results:
            assert {frame.served for frame in result.report.frames} == {"refined"}
        mine, theirs = (
            [float(measure(r.images, scene.target_images).mean()) for measure in MEASURES]
            for r in results
        )
        found.append([a - b for a, b in zip(mine, theirs, strict=True)])
    return torch.tensor(found).mean(0).tolist()


def test_finished_frames_are_nearer_to_the_truth_than_those_with_a_share_of_the_render():
    share = "composite.render_share=0.8125"
    decibels, *similarities = gains(
        ["composite.finish=true", share], ["composite.finish=false", share]
    )
    assert decibels > -0.02
    assert min(similarities) > 0.001


def test_frames_that_the_photos_finish_are_nearer_to_the_truth_than_by_the_render_alone():
    decibels, *similarities = gains(["diffusion.finisher=photos"], ["diffusion.finisher=render"])
    assert decibels > 0.1
    assert min(similarities) > 0.002
