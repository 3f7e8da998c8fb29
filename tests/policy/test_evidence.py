"""What the inputs prove: which refined frames kept it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from sphinx_framework.policy.evidence import reason_to_withhold, surviving_evidence, unproven
from sphinx_framework.policy.evidence_config import EvidenceConfig
from sphinx_framework.testing.scenes import room_scene

TOLERANCE = 0.1


@pytest.fixture(scope="module")
def views():
    scene = room_scene(5, (96, 96))
    return scene.target_images


def share(refined, render, opacity=None):
    return surviving_evidence(refined, render, opacity, TOLERANCE)


def test_a_frame_that_only_gained_detail_kept_everything(views):
    soft = F.avg_pool2d(views, 3, 1, 1)
    assert float(share(views, soft).min()) > 0.98


def checkerboard(views):
    rows, columns = torch.arange(96)[:, None] // 2, torch.arange(96) // 2
    return ((rows + columns) % 2).float().expand_as(views)


def blocks(views):
    generator = torch.Generator().manual_seed(0)
    return F.interpolate(torch.rand(len(views), 3, 8, 8, generator=generator), views.shape[-2:])


OTHER_PICTURES = {
    "black": lambda views, _: torch.zeros_like(views),
    "grey": lambda views, _: torch.full_like(views, 0.5),
    "its mean colour": lambda views, _: views.mean((2, 3), keepdim=True).expand_as(views),
    "blocks": lambda views, _: blocks(views),
    "noise": lambda views, _: torch.rand(views.shape, generator=torch.Generator().manual_seed(1)),
    "a checkerboard": lambda views, _: checkerboard(views),
    "another scene": lambda _, other: other,
    "half of another scene": lambda views, other: views.lerp(other, 0.5),
    "the negative": lambda views, _: 1 - views,
    "mirrored": lambda views, _: views.flip(3),
    "upside down": lambda views, _: views.flip(2),
    "8 pixels aside": lambda views, _: views.roll(8, 3),
    "colours swapped": lambda views, _: views[:, [1, 2, 0]],
    "darker": lambda views, _: 0.7 * views,
}


@pytest.fixture(scope="module")
def other():
    return room_scene(5, (96, 96), seed=5).target_images


@pytest.mark.parametrize("kind", OTHER_PICTURES)
def test_another_picture_kept_little(views, other, kind):
    assert float(share(OTHER_PICTURES[kind](views, other), views).max()) < 0.85


def test_a_frame_that_is_not_finite_kept_nothing(views):
    broken = views.clone()
    broken[0, 0, 0, 0] = float("nan")
    kept = share(broken, views)
    assert float(kept[0]) == 0
    assert float(kept[1:].min()) == 1


def test_only_certain_pixels_are_evidence(views):
    opacity = torch.zeros(len(views), 96, 96)
    opacity[:, :, :48] = 1
    changed = views.clone()
    changed[..., 48:] = 0
    assert float(share(changed, views, opacity).min()) == 1
    assert float(share(changed, views, 1 - opacity).max()) < 0.2


def test_where_nothing_is_certain_nothing_can_be_lost(views):
    assert share(torch.zeros_like(views), views, torch.zeros(len(views), 96, 96)).tolist() == [
        1.0
    ] * len(views)


@given(st.floats(0, 1), st.integers(0, 5))
def test_the_share_lies_between_0_and_1_and_falls_with_the_damage(level, seed):
    generator = torch.Generator().manual_seed(seed)
    render = torch.rand(1, 3, 24, 24, generator=generator)
    opacity = torch.rand(1, 24, 24, generator=generator)
    little, more = (
        float(share((render - d).clamp(0, 1), render, opacity)) for d in (level / 2, level)
    )
    assert 0 <= more <= little + 1e-6 <= 1 + 2e-6


def test_targets_with_little_opacity_are_unproven():
    opacity = torch.tensor([0.1, 0.39, 0.41, 1.0])[:, None, None].expand(4, 8, 8)
    assert unproven(opacity, 0.4) == (0, 1)
    assert unproven(opacity, 0.0) == ()
    assert unproven(None, 0.4) == ()


LIMITS = EvidenceConfig(least=0.9, most_lost=1.25)


@pytest.mark.parametrize(("share", "lost"), [(0.9, None), (1.0, 1.25), (0.95, -2.0)])
def test_a_frame_within_its_limits_is_served_without_a_reason(share, lost):
    assert reason_to_withhold(share, lost, LIMITS) is None


def test_the_reason_never_shows_a_number_that_looks_as_if_it_were_within():
    kept = reason_to_withhold(0.8999, None, LIMITS)
    assert kept == "refinement kept 89 % of what the inputs prove, less than 90 %"
    lost = reason_to_withhold(1.0, 1.2501, LIMITS)
    assert lost == "refinement probably lost 1.26 dB against the render, more than 1.25 dB"


def test_a_frame_that_fails_twice_has_both_reasons():
    reason = reason_to_withhold(0.2, 10.0, LIMITS)
    assert "kept 20 %" in reason
    assert "lost 10.00 dB" in reason
