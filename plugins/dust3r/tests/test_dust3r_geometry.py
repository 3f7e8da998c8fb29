import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sphinx_framework_dust3r.geometry.focal import focal_from_points, image_focals
from sphinx_framework_dust3r.geometry.pinhole import inverse_pose, pixel_grid, rigid, unproject
from sphinx_framework_dust3r.geometry.pnp import pose_from_points
from sphinx_framework_dust3r.geometry.quaternions import (
    quaternion_from_rotation,
    rotation_from_quaternion,
)
from sphinx_framework_dust3r.geometry.refinement import refine_pose
from sphinx_framework_dust3r.geometry.similarity import align_poses, weighted_similarity

CPU = torch.device("cpu")


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def random_rotation(seed: int) -> Tensor:
    return rotation_from_quaternion(random(seed, 4))


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_quaternions_survive_the_way_to_matrices_and_back(seed: int) -> None:
    quaternion = torch.nn.functional.normalize(random(seed, 4), dim=0)
    back = quaternion_from_rotation(rotation_from_quaternion(quaternion))
    torch.testing.assert_close(back * (back @ quaternion).sign(), quaternion, atol=1e-5, rtol=0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_turns_have_exact_quaternions(axis: int) -> None:
    rotation = -torch.eye(3)
    rotation[axis, axis] = 1
    expected = torch.zeros(4)
    expected[axis] = 1
    torch.testing.assert_close(quaternion_from_rotation(rotation).abs(), expected)


def test_a_quarter_turn_about_z_brings_x_to_y() -> None:
    turn = rotation_from_quaternion(
        torch.tensor([0, 0, math.sin(math.pi / 4), math.cos(math.pi / 4)])
    )
    torch.testing.assert_close(turn @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]))


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.05, 20))
def test_similarity_is_recovered_whatever_the_weights(seed: int, scale: float) -> None:
    points, rotation, shift = random(seed, 20, 3), random_rotation(seed + 1), random(seed + 2, 3)
    target = scale * points @ rotation.T + shift
    weights = random(seed + 3, 20).abs() + 0.1
    found = weighted_similarity(points, target, weights)
    torch.testing.assert_close(found.scale, torch.tensor(scale), rtol=1e-4, atol=0)
    torch.testing.assert_close(found.rotation, rotation, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.translation, shift, rtol=1e-3, atol=1e-3)


def test_mirrored_points_give_a_rotation_all_the_same() -> None:
    points = random(0, 30, 3)
    found = weighted_similarity(points, points * torch.tensor([1.0, 1, -1]), torch.ones(30))
    torch.testing.assert_close(torch.det(found.rotation), torch.tensor(1.0))


def test_points_of_no_weight_do_not_count() -> None:
    points, weights = random(0, 30, 3), torch.ones(30)
    target = 2 * points
    target[0], weights[0] = 100.0, 0.0
    found = weighted_similarity(points, target, weights)
    torch.testing.assert_close(found.scale, torch.tensor(2.0))


def test_pose_sets_are_aligned_with_their_roll() -> None:
    source = rigid(torch.stack([random_rotation(k) for k in (1, 2)]), random(3, 2, 3))
    turn, shift = random_rotation(4), random(5, 3)
    target = rigid(turn @ source[:, :3, :3], 3 * source[:, :3, 3] @ turn.T + shift)
    found = align_poses(source, target)
    torch.testing.assert_close(found.scale, torch.tensor(3.0), rtol=1e-3, atol=0)
    torch.testing.assert_close(found.rotation, turn, rtol=0, atol=1e-3)


def pointmap(focals: tuple[float, float], centre: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """A wavy pointmap in its camera's frame, and the grid it is seen at."""
    grid = pixel_grid((24, 32), 0.5, CPU)
    depth = 2 + torch.sin(grid[..., 0] / 4) * torch.cos(grid[..., 1] / 5)
    return unproject(depth, grid, torch.tensor(focals), torch.tensor(centre)), grid


@pytest.mark.parametrize("mode", ["weiszfeld", "median"])
def test_focal_of_an_exact_pointmap_is_exact(mode: str) -> None:
    points, grid = pointmap((40.0, 40.0), (16.0, 12.0))
    focal = focal_from_points(points, grid - torch.tensor([16.0, 12.0]), mode=mode)
    assert focal == pytest.approx(40.0, rel=1e-4)


def test_focal_shrugs_off_outliers_and_points_in_the_camera_plane() -> None:
    points, grid = pointmap((40.0, 40.0), (16.0, 12.0))
    points[:3] *= torch.tensor([1.0, 1.0, 5.0])
    points[5, 5] = 0
    focal = focal_from_points(points, grid - torch.tensor([16.0, 12.0]))
    assert focal == pytest.approx(40.0, rel=0.03)


def test_focal_is_clipped_to_its_bounds() -> None:
    points, grid = pointmap((400.0, 400.0), (16.0, 12.0))
    unit = 32 / (2 * math.tan(math.pi / 6))
    focals, _ = image_focals(points[None], grid, torch.tensor([[16.0, 12.0]]), (0.5, 3.5))
    assert focals[0].tolist() == pytest.approx([3.5 * unit] * 2)


def test_a_pointmap_behind_the_camera_is_given_a_usual_focal_and_a_warning() -> None:
    points, grid = pointmap((40.0, 40.0), (16.0, 12.0))
    behind = points * torch.tensor([1.0, 1, -1])
    focals, warnings = image_focals(behind[None], grid, torch.tensor([[16.0, 12.0]]), None)
    assert focals[0, 0] == pytest.approx(32 / (2 * math.tan(math.pi / 6)))
    assert "fits no camera" in warnings[0]


def test_pnp_recovers_a_camera_from_exact_points() -> None:
    points, grid = pointmap((40.0, 42.0), (16.5, 11.5))
    pose = rigid(random_rotation(3), random(4, 3))
    world = points @ pose[:3, :3].T + pose[:3, 3]
    matrix = torch.tensor([[40.0, 0, 16.5], [0, 42.0, 11.5], [0, 0, 1]])
    found = pose_from_points(
        world, grid, torch.ones(24, 32, dtype=torch.bool), matrix, iterations=10
    )
    torch.testing.assert_close(found, pose, rtol=0, atol=1e-4)


def test_pnp_without_enough_points_finds_nothing() -> None:
    points, grid = pointmap((40.0, 40.0), (16.0, 12.0))
    mask = torch.zeros(24, 32, dtype=torch.bool)
    mask[0, :3] = True
    assert pose_from_points(points, grid, mask, torch.eye(3), iterations=10) is None


def moved_aside(pose: Tensor) -> Tensor:
    """A pose a few degrees and a tenth of a unit off."""
    turn = rotation_from_quaternion(torch.tensor([0.03, -0.02, 0.01, 1.0], dtype=pose.dtype))
    return rigid(turn, torch.tensor([0.1, -0.05, 0.05], dtype=pose.dtype)) @ pose


def seen_points() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Camera-from-world pose, world points, their pixels and intrinsics, in double precision."""
    points, grid = pointmap((40.0, 42.0), (16.5, 11.5))
    pose = inverse_pose(rigid(random_rotation(3), random(4, 3))).double()
    flat = points.reshape(-1, 3).double() - pose[:3, 3]
    matrix = torch.tensor([[40.0, 0, 16.5], [0, 42.0, 11.5], [0, 0, 1]]).double()
    return pose, flat @ pose[:3, :3], grid.reshape(-1, 2).double(), matrix


def test_refinement_returns_to_the_camera_of_exact_points() -> None:
    pose, points, pixels, matrix = seen_points()
    found = refine_pose(moved_aside(pose), points, pixels, matrix, reach=20.0)
    torch.testing.assert_close(found, pose, rtol=0, atol=1e-5)


def test_refinement_ignores_points_that_project_far_off_or_lie_behind() -> None:
    pose, points, pixels, matrix = seen_points()
    points[::5] += 3.0
    # Mirrored in the camera's centre a point keeps its pixel.
    points[1::7] = 2 * inverse_pose(pose)[:3, 3] - points[1::7]
    found = refine_pose(moved_aside(pose), points, pixels, matrix, reach=10.0)
    torch.testing.assert_close(found, pose, rtol=0, atol=1e-2)


@pytest.mark.parametrize("reach", [1e-9, 1e9])
def test_refinement_keeps_a_pose_that_nothing_determines(reach: float) -> None:
    pose, points, pixels, matrix = seen_points()
    start = moved_aside(pose)
    same = points[:1].expand(9, 3)
    found = refine_pose(start, same, pixels[:1].expand(9, 2), matrix, reach=reach)
    assert torch.isfinite(found).all()
    if reach < 1:
        assert torch.equal(found, start)


def test_inverse_pose_undoes_a_pose() -> None:
    pose = rigid(random_rotation(1), random(2, 3))
    torch.testing.assert_close(pose @ inverse_pose(pose), torch.eye(4), rtol=0, atol=1e-5)
