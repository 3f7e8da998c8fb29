"""What the score knows of a request is computed once, and is what it would be again."""

import pytest
import torch
from torch.nn import functional

from sphinx_framework.testing.scenes import room_scene
from sphinx_framework.types import ScoreEvidence
from sphinx_framework_lite import evidence_features
from sphinx_framework_lite.evidence_features import FEATURES, Known, features, known


@pytest.fixture
def evidence() -> ScoreEvidence:
    scene = room_scene(3, (48, 64))
    truth = scene.target_images
    assert truth is not None
    generator = torch.Generator().manual_seed(2)
    renders = functional.avg_pool2d(truth, 3, 1, 1)
    warps = (truth + 0.02 * torch.randn((2, *truth.shape), generator=generator)).clamp(0, 1)
    return ScoreEvidence(
        inputs=scene.images,
        renders=renders,
        opacity=torch.rand(renders[:, 0].shape, generator=generator),
        warps=warps,
        inside=(torch.rand(warps[:, :, 0].shape, generator=generator) > 0.2).float(),
    )


def test_the_renders_features_are_those_of_a_picture_like_them(evidence: ScoreEvidence) -> None:
    found: Known = known(evidence)
    assert torch.equal(features(found.images, found), features(found.images.clone(), found))


def test_an_earlier_image_changes_nothing_of_a_later_one(evidence: ScoreEvidence) -> None:
    found = known(evidence)
    other = evidence.renders * 0.9
    features(evidence.renders.flip(3), found)
    again = features(other, found)
    assert again.shape == (len(other), FEATURES)
    assert torch.equal(again, features(other, known(evidence)))


def test_both_sides_of_a_comparison_are_smoothed_once(
    evidence: ScoreEvidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three images in a request: the evidence's own maps are not made again."""
    found = known(evidence)
    features(evidence.renders * 0.9, found)
    calls = 0
    smooth = evidence_features.smooth

    def counted(x: torch.Tensor, sigma: float) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return smooth(x, sigma)

    monkeypatch.setattr(evidence_features, "smooth", counted)
    features(evidence.renders * 0.8, found)
    # Its own: chroma, colours, luma, squares; and a product with each of two warps and the render.
    assert calls == 4 + 3
