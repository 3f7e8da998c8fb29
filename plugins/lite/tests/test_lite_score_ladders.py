"""The embedded score over ladders of damage, on scenes that nothing was trained on."""

import pytest
import torch
from torch.nn import functional as F

from sphinx_framework.scenes.load import load_scene
from sphinx_framework_lite.config import QualityConfig
from sphinx_framework_lite.quality import LiteQuality

SCENES = range(500, 508)


@pytest.fixture(scope="module")
def score():
    return LiteQuality(QualityConfig(), torch.device("cpu")).score


@pytest.fixture(scope="module")
def truths():
    return torch.cat([load_scene(f"procedural:report/{i}").target_images[::3] for i in SCENES])


def blurred(images, sigma):
    axis = torch.arange(-8, 9) / sigma
    bell = torch.exp(-0.5 * axis * axis)
    kernel = (bell[:, None] * bell / bell.sum() ** 2).expand(3, 1, -1, -1)
    return F.conv2d(F.pad(images, (8, 8, 8, 8), mode="reflect"), kernel, groups=3)


def share_in_order(score, ladder):
    """Share of images whose score falls at every rung."""
    scores = torch.stack([score(images) for images in ladder])
    return float((scores.diff(dim=0) < 0).all(dim=0).float().mean())


def test_more_blur_scores_lower(score, truths):
    ladder = [truths, *(blurred(truths, sigma) for sigma in (0.5, 0.8, 1.2, 2.0))]
    assert share_in_order(score, ladder) >= 0.85  # 37 of 40 images of report/500-519


def test_more_noise_scores_lower(score, truths):
    noise = torch.randn(truths.shape, generator=torch.Generator().manual_seed(0))
    ladder = [truths, *((truths + s * noise).clamp(0, 1) for s in (0.01, 0.05, 0.1, 0.2))]
    assert share_in_order(score, ladder) >= 0.95


def test_what_is_no_picture_scores_below_a_tenth_of_the_truth(score, truths):
    random = torch.Generator().manual_seed(0)
    cells = torch.rand(len(truths), 3, 12, 12, generator=random)
    none = {
        "black": torch.zeros_like(truths),
        "one colour": torch.full_like(truths, 0.4),
        "blocks": F.interpolate(cells, truths.shape[-2:]),
        "noise": torch.rand(truths.shape, generator=random),
    }
    shares = {name: float((score(images) / score(truths)).max()) for name, images in none.items()}
    assert max(shares.values()) < 0.1, shares
