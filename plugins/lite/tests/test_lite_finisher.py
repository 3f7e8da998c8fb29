"""The finisher: pictures of any size the model takes, pixel by pixel between two estimates."""

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

CPU = torch.device("cpu")


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


@pytest.mark.parametrize("size", [(16, 16), (48, 80), (96, 96), (384, 384)])
def test_any_size_and_number_stay_pictures(size):
    model = LiteDiffusion(DiffusionConfig(), CPU)
    refined, renders = pictures(size, 9), pictures(size, 9, seed=1)
    finished = model.finish(refined, evidence_of(renders))
    assert finished.shape == refined.shape
    assert 0 <= float(finished.min()) <= float(finished.max()) <= 1


def test_an_unknown_opacity_counts_as_opaque():
    model = LiteDiffusion(DiffusionConfig(), CPU)
    refined, renders = pictures(), pictures(seed=1)
    opaque = model.finish(refined, evidence_of(renders, opacity=torch.ones(3, 48, 80)))
    assert torch.equal(model.finish(refined, evidence_of(renders)), opaque)


def test_finished_frames_are_nearer_to_the_truth_than_those_with_a_share_of_the_render():
    """On scenes that nothing was trained on."""
    gains = []
    for number in (970, 971, 972):
        scene = load_scene(f"procedural:report/{number}", size=(96, 96))
        by = {}
        for finish in ("true", "false"):
            own = [f"composite.finish={finish}", "composite.render_share=0.8125"]
            config = load_config("lite", own)
            result = Engine.from_config(config, device="cpu").render(scene)
            by[finish] = [
                float(measure(result.images, scene.target_images).mean())
                for measure in (psnr, ssim, gradient_similarity)
            ]
        gains.append([a - b for a, b in zip(by["true"], by["false"], strict=True)])
    decibels, *similarities = torch.tensor(gains).mean(0).tolist()
    assert decibels > -0.02
    assert min(similarities) > 0.001
