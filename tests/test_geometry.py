import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.geometry.brackets import brackets, camera_distances
from sphinx_framework.geometry.rotations import rotation_angles
from sphinx_framework.types import Cameras, Scene

SIZE = (8, 8)


def cameras(centres, angles=None):
    """Cameras at the centres, turned about the y axis by the angles in radians."""
    poses = torch.eye(4).repeat(len(centres), 1, 1)
    poses[:, :3, 3] = torch.tensor(centres, dtype=torch.float32)
    for pose, angle in zip(poses, angles or [0.0] * len(centres), strict=True):
        c, s = math.cos(angle), math.sin(angle)
        pose[:3, :3] = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    k = torch.tensor([[8.0, 0, 4], [0, 8, 4], [0, 0, 1]]).repeat(len(centres), 1, 1)
    return Cameras(world_from_camera=poses, intrinsics=k, image_size=SIZE)


def scene(inputs, targets, order=None):
    return Scene(
        images=torch.zeros(len(inputs), 3, *SIZE), inputs=inputs, targets=targets, order=order
    )


def along_x(*places):
    return cameras([(place, 0.0, 0.0) for place in places])


def found(scene):
    return [(b.left, b.right, pytest.approx(b.position)) for b in brackets(scene)]


def test_an_ordered_scene_brackets_along_its_order():
    ordered = scene(along_x(0, 1, 2), along_x(5, 5), order=(10.0, 40.0, 20.0, 15.0, 35.0))
    assert found(ordered) == [(0, 2, 0.5), (2, 1, 0.75)]


def test_positions_are_the_true_ones_and_not_evenly_spaced():
    ordered = scene(along_x(0, 1), along_x(0, 0, 0), order=(0.0, 100.0, 1.0, 7.0, 90.0))
    assert found(ordered) == [(0, 1, 0.01), (0, 1, 0.07), (0, 1, 0.9)]


def test_a_target_beyond_the_inputs_is_clamped_to_the_nearest():
    ordered = scene(along_x(0, 1, 2), along_x(0, 0), order=(10.0, 20.0, 30.0, 5.0, 99.0))
    assert found(ordered) == [(0, 1, 0.0), (1, 2, 1.0)]


def test_a_target_at_an_inputs_place_is_that_input():
    ordered = scene(along_x(0, 1, 2), along_x(0), order=(10.0, 20.0, 30.0, 20.0))
    (bracket,) = brackets(ordered)
    assert (bracket.left, bracket.right)[round(bracket.position)] == 1
    assert bracket.position in (0.0, 1.0)


def test_inputs_at_one_place_do_not_divide_by_zero():
    ordered = scene(along_x(0, 1), along_x(0), order=(10.0, 10.0, 10.0))
    assert found(ordered) == [(0, 1, 0.0)]


def test_a_scene_without_order_brackets_by_the_two_nearest_cameras():
    unordered = scene(along_x(0, 10, 4), along_x(1.0, 8.5))
    assert found(unordered) == [(0, 2, 0.25), (1, 2, 0.25)]


def test_turning_away_counts_as_distance():
    inputs = cameras([(0, 0, 0), (1, 0, 0), (0, 0, 1)], [0.0, 0.0, 3.0])
    (bracket,) = brackets(scene(inputs, cameras([(0, 0, 0.9)])))
    assert (bracket.left, bracket.right) == (0, 1)


def test_a_single_input_is_its_own_bracket():
    assert found(scene(along_x(0), along_x(1, 2))) == [(0, 0, 0.0), (0, 0, 0.0)]


def test_a_target_on_top_of_two_equal_inputs_has_a_position():
    (bracket,) = brackets(scene(along_x(0, 0), along_x(0)))
    assert 0 <= bracket.position <= 1


@given(
    inputs=st.lists(st.floats(-50, 50), min_size=1, max_size=5),
    targets=st.lists(st.floats(-60, 60), min_size=1, max_size=5),
    ordered=st.booleans(),
)
def test_every_target_gets_a_bracket_of_existing_inputs(inputs, targets, ordered):
    order = (*inputs, *targets) if ordered else None
    for bracket in brackets(scene(along_x(*inputs), along_x(*targets), order)):
        assert 0 <= bracket.left < len(inputs)
        assert 0 <= bracket.right < len(inputs)
        assert 0 <= bracket.position <= 1


@given(scale=st.floats(0.01, 100))
def test_camera_distance_does_not_depend_on_the_unit_of_the_scene(scale):
    places = torch.tensor([0.0, 1.0, 4.0])
    base = camera_distances(along_x(2.0), along_x(*places.tolist()))
    scaled = camera_distances(along_x(2.0 * scale), along_x(*(places * scale).tolist()))
    torch.testing.assert_close(base, scaled, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.5, 3.1])
def test_rotation_angles_are_in_radians(angle):
    pair = cameras([(0, 0, 0), (0, 0, 0)], [0.2, 0.2 + angle]).world_from_camera[:, :3, :3]
    measured = rotation_angles(pair[0].double(), pair[1].double())
    assert float(measured) == pytest.approx(angle, abs=2e-3)
