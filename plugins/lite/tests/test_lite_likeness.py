"""Likeness cell by cell: maps of a request are made once, and the score is their mean."""

from collections.abc import Callable

import pytest
import torch

from sphinx_framework.engine.scoring import target_evidence
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.types import ScoreEvidence
from sphinx_framework_lite.config import QualityConfig, RegressionConfig
from sphinx_framework_lite.evidence_features import known, seen
from sphinx_framework_lite.likeness import CELL, CHANNELS, Likeness, Surroundings, stretched
from sphinx_framework_lite.quality import LiteQuality
from sphinx_framework_lite.regression import LiteRegression

SIZE = (48, 64)
Make = Callable[..., ScoreEvidence]


@pytest.fixture(scope="module")
def estimator() -> LiteQuality:
    return LiteQuality(QualityConfig(), torch.device("cpu"))


@pytest.mark.parametrize("warps", [0, 1, 2, 3])
def test_maps_of_renders_are_those_of_pictures_like_them(make_evidence: Make, warps: int) -> None:
    held = make_evidence(SIZE, warps)
    around = Surroundings(known(held, held.renders * 0.9))
    maps = around.maps(seen(held.renders.clone()))
    assert maps.shape == (len(held.renders), CHANNELS, SIZE[0] // CELL, SIZE[1] // CELL)
    assert torch.equal(maps, around.maps_of_renders)


def test_a_frame_is_scored_alike_alone_and_among_others(
    estimator: LiteQuality, make_evidence: Make
) -> None:
    held = make_evidence()
    other = held.renders.flip(3) * 0.9
    together = estimator.score(other, evidence=held)
    estimator.score(held.renders, evidence=held)
    assert torch.equal(estimator.score(other, evidence=held), together)
    alone = torch.cat([estimator.score(other[[i]], evidence=held.rows([i])) for i in range(3)])
    torch.testing.assert_close(alone, together)


def test_damage_in_one_place_lowers_the_likeness_there_alone(estimator: LiteQuality) -> None:
    scene = load_scene("procedural:report/520")
    held = target_evidence(
        scene, LiteRegression(RegressionConfig(), torch.device("cpu")).predict(scene)
    )
    noise = torch.randn((3, 24, 24), generator=torch.Generator().manual_seed(3))
    damaged = held.renders.clone()
    damaged[..., 24:48, 24:48] = (damaged[..., 24:48, 24:48] + 0.2 * noise).clamp(0, 1)
    around = estimator._surroundings(held)
    with torch.no_grad():
        before = estimator._likeness(around.maps_of_renders)
        after = estimator._likeness(around.maps(seen(damaged)))
    lost = (before - after).unflatten(1, (-1, 6)).unflatten(3, (-1, 6)).mean((2, 4))
    assert float(lost[:, 1, 1].min()) > 0.05
    # Out of the reach of smoothing and of the network.
    torch.testing.assert_close(lost[:, 3], torch.zeros_like(lost[:, 3]))


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (20, 90), (131, 70)])
def test_every_size_of_image_has_a_score(
    estimator: LiteQuality, make_evidence: Make, size: tuple[int, int]
) -> None:
    held = make_evidence(size)
    scores = estimator.score(held.renders * 0.95, evidence=held)
    assert bool((scores > 1).all())
    assert bool((scores <= 100).all())


def test_the_scale_rises_everywhere_and_ends_at_one() -> None:
    likeness = torch.linspace(0, 1, 1001)
    score = stretched(likeness)
    assert bool((score.diff() > 0).all())
    assert float(score[0]) < 0.01
    assert float(score[-1]) == pytest.approx(1, abs=1e-6)


def test_random_weights_judge_too(make_evidence: Make) -> None:
    held = make_evidence()
    cells = Likeness()(Surroundings(known(held, held.renders)).maps_of_renders)
    assert cells.shape == (len(held.renders), SIZE[0] // CELL, SIZE[1] // CELL)
