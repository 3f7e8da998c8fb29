"""The embedded score without evidence over ladders; with it, what is no picture or lost much.

Ladders with evidence: ``test_lite_score_checked.py``.
"""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from sphinx_framework.engine.scoring import photo_evidence, target_evidence
from sphinx_framework.metrics import psnr
from sphinx_framework.scenes.load import load_scene
from sphinx_framework_lite.config import QualityConfig, RegressionConfig
from sphinx_framework_lite.quality import LiteQuality
from sphinx_framework_lite.regression import LiteRegression

SCENES = range(500, 508)
SEEN_SCENES = range(520, 523)


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


@pytest.fixture(scope="module")
def judge():
    return LiteQuality(QualityConfig(), torch.device("cpu"))


@pytest.fixture(scope="module")
def known():
    """Truths and evidence of every second target of some scenes."""
    stage = LiteRegression(RegressionConfig(), torch.device("cpu"))
    found = []
    for number in SEEN_SCENES:
        scene = load_scene(f"procedural:report/{number}")
        rows = [0, 2, 4]
        evidence = target_evidence(scene, stage.predict(scene)).rows(rows)
        found.append((scene.target_images[rows], evidence))
    return found


def no_pictures(truth):
    random = torch.Generator().manual_seed(0)
    cells = torch.rand(len(truth), 3, 12, 12, generator=random)
    return {
        "black": torch.zeros_like(truth),
        "one colour": torch.full_like(truth, 0.4),
        "blocks": F.interpolate(cells, truth.shape[-2:]),
        "noise": torch.rand(truth.shape, generator=random),
    }


@pytest.mark.parametrize("kind", ["black", "one colour", "blocks", "noise"])
def test_with_evidence_no_picture_scores_a_tenth_and_is_judged_lost(judge, known, kind):
    for truth, evidence in known:
        images = no_pictures(truth)[kind]
        top = judge.score(truth, evidence=evidence)
        assert float((judge.score(images, evidence=evidence) / top).max()) < 0.1
        assert float(judge.lost(images, evidence).min()) > 1


def with_a_square(render):
    changed = render.clone()
    changed[..., 36:60, 36:60] = render.flip(2, 3)[..., 36:60, 36:60]
    return changed


LITTLE_SHOWS = {
    "two pixels aside": lambda x: x.roll(2, 3),
    "aside and down": lambda x: x.roll((2, -2), (2, 3)),
    "the neighbour's frame": lambda x: x.roll(1, 0),
    "a foreign square": with_a_square,
}


def test_frames_that_lost_what_means_hardly_show_are_judged_lost(judge, known):
    told = []
    for truth, evidence in known:
        for made in LITTLE_SHOWS.values():
            images = made(evidence.renders)
            lost = psnr(evidence.renders, truth) - psnr(images, truth)
            told.append((judge.lost(images, evidence) > 0.9)[lost > 1.2])
    assert len(torch.cat(told)) > 20
    # 24 of 26; a soft render a little aside is still taken for one.
    assert float(torch.cat(told).float().mean()) >= 0.8


def test_a_render_lost_little_against_itself(judge, known):
    for _, evidence in known:
        assert float(judge.lost(evidence.renders, evidence).abs().max()) < 0.5


def test_photos_score_high_with_themselves_as_evidence(judge):
    scene = load_scene("procedural:report/520")
    assert float(judge.score(scene.images, evidence=photo_evidence(scene)).min()) > 80


def test_evidence_can_be_left_out_by_option(known):
    plain = LiteQuality(QualityConfig(use_evidence=False), torch.device("cpu"))
    truth, evidence = known[0]
    assert torch.equal(plain.score(truth, evidence=evidence), plain.score(truth))


def test_where_the_photos_prove_next_to_nothing_slight_damage_to_the_truth_scores_lower(
    judge, known
):
    truth, evidence = known[0]
    guess = replace(evidence, opacity=0.15 * torch.ones_like(evidence.opacity))
    rungs = [truth, *(blurred(truth, sigma) for sigma in (0.5, 0.8, 1.2, 2.0))]
    scores = torch.stack([judge.score(images, evidence=guess) for images in rungs])
    assert bool((scores.diff(dim=0) < 0).all())
    # Likeness to a guess says little: another picture is not far below it, and never above 100.
    other = judge.score(known[1][0], evidence=guess)
    assert bool((other > 0.3 * judge.score(guess.renders, evidence=guess)).all())
    assert float(scores.max()) <= 100
