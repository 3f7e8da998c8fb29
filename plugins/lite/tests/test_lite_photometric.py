"""Depth that is moved to where the photos agree."""

import pytest
import torch
from torch.nn import functional

from sphinx_framework.types import Cameras
from sphinx_framework_lite.photometric import refined_depth

SIZE, FOCAL, DEPTH, BASELINE = (64, 80), 60.0, 4.0, 0.5
BOTH = [[1], [0]]
MIDDLE = (..., slice(12, -12), slice(16, -16))


def cameras(baseline=BASELINE, scale=1.0, pose=None):
    poses = torch.eye(4).repeat(2, 1, 1)
    poses[1, 0, 3] = baseline * scale
    if pose is not None:
        poses = pose @ poses
    k = torch.tensor([[FOCAL, 0, SIZE[1] / 2], [0, FOCAL, SIZE[0] / 2], [0, 0, 1]])
    return Cameras(world_from_camera=poses, intrinsics=k.repeat(2, 1, 1), image_size=SIZE)


def wall(seed=0):
    """A wall of smooth texture at DEPTH, seen by both cameras."""
    noise = torch.rand(1, 3, 16, 28, generator=torch.Generator().manual_seed(seed))
    wide = functional.interpolate(noise, (SIZE[0], 140), mode="bicubic").clamp(0, 1)
    shift = FOCAL * BASELINE / DEPTH  # 7.5 pixels
    grid = torch.arange(SIZE[1]) + 0.5
    rows = torch.arange(SIZE[0]) + 0.5
    views = []
    for offset in (20.0, 20.0 + shift):
        x = ((grid + offset) / 140 * 2 - 1).expand(SIZE[0], -1)
        y = (rows / SIZE[0] * 2 - 1)[:, None].expand(-1, SIZE[1])
        where = torch.stack([x, y], -1)[None]
        views.append(functional.grid_sample(wide, where, align_corners=False)[0])
    return torch.stack(views)


def flat(depth, scale=1.0):
    return torch.full((2, *SIZE), depth * scale)


def errors(depth, scale=1.0):
    """Pixels that a depth is off by in the other photo, in the middle of the views."""
    return (FOCAL * BASELINE * (scale / depth - 1 / DEPTH)).abs()[MIDDLE]


@pytest.mark.parametrize("start", [3.5, 3.8, 4.2, 4.6])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_wall_comes_to_its_depth(start, seed):
    found = refined_depth(wall(seed), cameras(), flat(start), BOTH)
    before, after = errors(flat(start)), errors(found)
    assert after.mean() < 0.1
    assert after.mean() < before.mean() / 3


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_units_do_not_matter(scale):
    usual = refined_depth(wall(), cameras(), flat(3.7), BOTH)
    found = refined_depth(wall(), cameras(scale=scale), flat(3.7, scale), BOTH)
    assert torch.allclose(found / scale, usual, rtol=1e-3)


def test_the_place_in_the_world_does_not_matter():
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]
    pose = torch.eye(4)
    pose[:3, :3], pose[:3, 3] = turn * torch.linalg.det(turn), torch.tensor([5.0, -3.0, 8.0])
    usual = refined_depth(wall(), cameras(), flat(3.7), BOTH)
    found = refined_depth(wall(), cameras(pose=pose), flat(3.7), BOTH)
    assert torch.allclose(found, usual, rtol=1e-2)


def test_another_exposure_of_one_photo_changes_little():
    images = wall()
    images[1] = (images[1] * 0.9 + 0.06).clamp(0, 1)
    found = refined_depth(images, cameras(), flat(3.7), BOTH)
    assert errors(found).mean() < 0.25


def test_a_surface_without_texture_stays_where_it_is():
    found = refined_depth(torch.full((2, 3, *SIZE), 0.5), cameras(), flat(3.7), BOTH)
    assert torch.allclose(found, flat(3.7))


def test_photos_from_one_place_say_nothing():
    found = refined_depth(wall(), cameras(baseline=0.0), flat(3.7), BOTH)
    assert torch.allclose(found, flat(3.7))


def test_depth_that_is_wrong_beyond_repair_stays_finite():
    noise = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(3))
    for depth in (0.05, 0.5, 400.0):
        found = refined_depth(noise, cameras(), flat(depth), BOTH)
        assert torch.isfinite(found).all()
        assert (found > 0).all()
