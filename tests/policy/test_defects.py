"""What evidence proves to be damage costs a share of the score; what it shows costs nothing."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from sphinx_framework.policy.damage_measures import blurred
from sphinx_framework.policy.defects import render_share, scarcity, undamaged_share
from sphinx_framework.testing.scenes import room_scene
from sphinx_framework.types import ScoreEvidence


def softened(images, sigma):
    return blurred(images.flatten(0, 1)[:, None], sigma).reshape(images.shape)


@pytest.fixture(scope="module")
def photos():
    """Views as smooth as photographs, with the grain of a camera."""
    scene = room_scene(3, (96, 96))
    views = torch.cat([scene.images, scene.target_images])
    grain = torch.randn(views.shape, generator=torch.Generator().manual_seed(3))
    return (softened(views, 1.5) + 0.006 * grain).clamp(0, 1)


@pytest.fixture(scope="module")
def truth(photos):
    return photos[2:]


@pytest.fixture(scope="module")
def evidence(photos):
    """Renders are softer than the truth, and never quite in its place."""
    return ScoreEvidence(inputs=photos[:2], renders=softened(photos[2:], 0.8).roll((1, 1), (2, 3)))


def noisy(images, level, seed=0):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    return (images + level * noise).clamp(0, 1)


def compressed(images, quality):
    out = []
    for image in images:
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        back = cv2.imdecode(np.asarray(data), cv2.IMREAD_COLOR)
        out.append(torch.from_numpy(back).permute(2, 0, 1) / 255)
    return torch.stack(out)


def mosaic(images, share):
    return images.lerp(F.interpolate(F.avg_pool2d(images, 8), scale_factor=8.0), share)


def tinted(images, size):
    return (images * torch.tensor([1 + size, 1.0, 1 - size])[:, None, None]).clamp(0, 1)


def sharper(images, amount):
    return (images + amount * (images - softened(images, 1.0))).clamp(0, 1)


def test_the_truth_the_render_and_a_softer_picture_pay_nothing(truth, evidence):
    for images in (truth, evidence.renders, evidence.renders.clone(), softened(truth, 0.5)):
        assert float(undamaged_share(images, evidence).min()) > 0.995


@pytest.mark.parametrize("proven", [1.0, 0.45, 0.1])
def test_a_picture_just_like_its_render_keeps_the_renders_share(evidence, proven):
    """Told without measuring it again; below 1 only where the photos prove little."""
    soft = ScoreEvidence(inputs=evidence.inputs, renders=softened(evidence.renders, 3.0))
    known = opaque(soft, proven)
    share = undamaged_share(known.renders.clone(), known)
    assert render_share(known).tolist() == pytest.approx(share.tolist(), abs=1e-6)
    assert bool((share < 1).any()) == (proven < 0.6)


def speckled(images, level):
    generator = torch.Generator().manual_seed(4)
    cells = torch.randn(len(images), 3, 24, 24, generator=generator)
    return (images + level * F.interpolate(cells, scale_factor=4.0, mode="bilinear")).clamp(0, 1)


def doubled(images, share, shift=(3, 4)):
    return images.lerp(images.roll(shift, (2, 3)), share)


DAMAGE = {
    "noise": (noisy, (0.02, 0.05, 0.1, 0.2)),
    "compression": (compressed, (80, 10)),
    "blocks": (mosaic, (0.6, 0.9)),
    "speckle": (speckled, (0.2, 0.4)),
    "a second exposure": (doubled, (0.2, 0.35, 0.5)),
    "a cast": (tinted, (0.05, 0.1, 0.2, 0.4)),
    "sharpening": (sharper, (0.5, 1.0, 2.0)),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_costs_and_more_of_it_costs_more(truth, evidence, kind):
    damage, amounts = DAMAGE[kind]
    shares = [undamaged_share(damage(truth, amount), evidence) for amount in amounts]
    ladder = torch.stack([torch.ones(len(truth)), *shares])
    assert float(ladder.diff(dim=0).max()) < -0.001


def test_compression_is_seen_at_any_place_of_its_grid(truth, evidence):
    moved = compressed(truth.roll((3, 5), (2, 3)), 70).roll((-3, -5), (2, 3))
    assert float(undamaged_share(moved, evidence).max()) < 0.97


@pytest.mark.parametrize("shift", [(0, 6), (-7, 3), (12, 0)])
def test_a_second_exposure_is_seen_at_any_shift(truth, evidence, shift):
    assert float(undamaged_share(doubled(truth, 0.35, shift), evidence).max()) < 0.97


def test_what_is_doubled_in_the_photos_too_is_no_damage(truth, photos):
    twice = ScoreEvidence(inputs=doubled(photos[:2], 0.4), renders=softened(truth, 0.8))
    assert float(undamaged_share(doubled(truth, 0.35), twice).min()) > 0.97


def test_a_sharpened_render_pays_although_it_is_softer_than_the_photos(evidence):
    shares = [undamaged_share(sharper(evidence.renders, a), evidence) for a in (0.5, 1.0)]
    assert float(shares[0].max()) < 0.95
    assert bool((shares[1] < shares[0]).all())


def test_what_the_photos_show_too_is_no_damage(truth, photos):
    grainy = ScoreEvidence(inputs=noisy(photos[:2], 0.05, 1), renders=softened(truth, 0.8))
    assert float(undamaged_share(noisy(truth, 0.05, 2), grainy).min()) > 0.97


def test_a_cast_counts_where_the_render_is_certain(truth, evidence):
    open_ = torch.zeros(len(truth), 96, 96)
    unknown = ScoreEvidence(inputs=evidence.inputs, renders=evidence.renders, opacity=open_)
    shares = [undamaged_share(tinted(truth, 0.2), e) for e in (unknown, evidence)]
    assert float(shares[0].min()) > 0.95
    assert float(shares[1].max()) < 0.9


def opaque(evidence, share):
    opacity = torch.full_like(evidence.renders[:, 0], share)
    return ScoreEvidence(inputs=evidence.inputs, renders=evidence.renders, opacity=opacity)


def test_evidence_is_scarce_where_the_render_is_hardly_opaque(evidence):
    means = [float(scarcity(opaque(evidence, share)).mean()) for share in (0.1, 0.4, 0.7)]
    assert means == pytest.approx([1, 0.5, 0], abs=1e-5)
    assert float(scarcity(evidence).max()) == 0


# What is free where enough is proven.
SLIGHT = {
    "blur": (lambda x, sigma: softened(x, sigma), (0.5, 0.8, 1.2, 2.0)),
    "speckle": (speckled, (0.03, 0.06, 0.12, 0.25)),
    "a cast": (tinted, (0.05, 0.1, 0.2, 0.4)),
}


@pytest.mark.parametrize("kind", SLIGHT)
def test_where_little_is_proven_slight_damage_costs_too(truth, evidence, kind):
    damage, amounts = SLIGHT[kind]
    guess = opaque(evidence, 0.15)
    shares = [undamaged_share(damage(truth, amount), guess) for amount in amounts]
    ladder = torch.stack([undamaged_share(truth, guess), *shares])
    assert float(ladder.diff(dim=0).max()) < -0.001


def test_a_softer_picture_pays_only_where_little_is_proven(truth, evidence):
    soft = softened(truth, 1.2)
    assert float(undamaged_share(soft, opaque(evidence, 0.7)).min()) > 0.995
    assert float(undamaged_share(soft, opaque(evidence, 0.15)).max()) < 0.98


@given(st.integers(8, 40), st.integers(8, 40), st.integers(0, 3))
def test_any_size_has_a_share_between_0_and_1(height, width, seed):
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed))
    known = ScoreEvidence(inputs=images.flip(0), renders=softened(images, 1.0))
    for made in (images, torch.zeros_like(images), torch.full_like(images, torch.nan)):
        share = undamaged_share(made, known)
        assert share.shape == (2,)
        assert bool(((share > 0) & (share <= 1)).all())
