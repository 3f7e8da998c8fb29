"""What the score knows of a request is computed once, and is what it would be again."""

from collections.abc import Callable

import pytest
import torch

from sphinx_framework.types import ScoreEvidence
from sphinx_framework_lite import evidence_features
from sphinx_framework_lite.evidence_features import FEATURES, Known, features, known, seen


@pytest.fixture
def evidence(make_evidence: Callable[..., ScoreEvidence]) -> ScoreEvidence:
    return make_evidence()


def test_the_renders_features_are_those_of_a_picture_like_them(evidence: ScoreEvidence) -> None:
    found: Known = known(evidence, evidence.renders)
    assert torch.equal(features(found.render, found), features(seen(found.images.clone()), found))


def test_an_earlier_image_changes_nothing_of_a_later_one(evidence: ScoreEvidence) -> None:
    found = known(evidence, evidence.renders)
    other = seen(evidence.renders * 0.9)
    features(seen(evidence.renders.flip(3)), found)
    again = features(other, found)
    assert again.shape == (len(evidence.renders), FEATURES)
    assert torch.equal(again, features(other, known(evidence, evidence.renders)))


def test_both_sides_of_a_comparison_are_smoothed_once(
    evidence: ScoreEvidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three images in a request: the evidence's own maps are not made again."""
    found = known(evidence, evidence.renders)
    features(seen(evidence.renders * 0.9), found)
    calls = 0
    smooth = evidence_features.smooth

    def counted(x: torch.Tensor, sigma: float) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return smooth(x, sigma)

    monkeypatch.setattr(evidence_features, "smooth", counted)
    features(seen(evidence.renders * 0.8), found)
    # Its own: chroma, colours, luma, squares; and a product with each of two warps and the render.
    assert calls == 4 + 3
