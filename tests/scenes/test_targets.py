import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_folders import random_poses, transforms_scene, write_json

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.readers import read_scene
from sphinx_framework.scenes.targets import parse_targets
from sphinx_framework.scenes.trajectories import focus_point, interpolate, orbit, spiral
from sphinx_framework.types import Cameras

K = torch.tensor([[20.0, 0, 8], [0, 20, 8], [0, 0, 1]])


def cameras(poses: torch.Tensor) -> Cameras:
    return Cameras(
        world_from_camera=poses.float(),
        intrinsics=K.repeat(len(poses), 1, 1),
        image_size=(16, 16),
    )


def converging(count: int) -> Cameras:
    """Cameras on an arc of radius 4 that all look at the origin, up is -y."""
    angles = torch.linspace(-0.4, 0.4, count)
    poses = torch.eye(4).repeat(count, 1, 1)
    poses[:, 0, 0] = poses[:, 2, 2] = angles.cos()
    poses[:, 0, 2], poses[:, 2, 0] = angles.sin(), -angles.sin()
    poses[:, :3, 3] = -4 * poses[:, :3, 2]
    return cameras(poses)


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(1, 9), st.integers(0, 500))
def test_interpolated_cameras_are_rigid_and_strictly_between(inputs, count, seed):
    made, places = interpolate(cameras(random_poses(inputs, seed)), count)
    made.validate("camera")
    assert len(made) == count
    assert 0 < float(places.min()) <= float(places.max()) < inputs - 1


@settings(deadline=None)
@given(st.integers(0, 500))
def test_half_way_between_two_cameras_is_equally_far_from_both(seed):
    ends = cameras(random_poses(2, seed))
    middle, places = interpolate(ends, 1)
    assert places.tolist() == [0.5]
    torch.testing.assert_close(middle.centres[0], ends.centres.mean(dim=0), rtol=0, atol=1e-6)
    turns = [
        (ends.world_from_camera[i, :3, :3].T @ middle.world_from_camera[0, :3, :3]).trace()
        for i in (0, 1)
    ]
    torch.testing.assert_close(turns[0], turns[1], rtol=0, atol=1e-4)


def test_a_path_through_more_inputs_passes_them():
    inputs = converging(3)
    made, places = interpolate(inputs, 3)
    assert places.tolist() == [0.5, 1.0, 1.5]
    torch.testing.assert_close(made.world_from_camera[1], inputs.world_from_camera[1])


def test_identical_inputs_give_identical_targets():
    pose = random_poses(1).repeat(2, 1, 1)
    made, _ = interpolate(cameras(pose), 2)
    torch.testing.assert_close(made.world_from_camera, pose.float(), rtol=0, atol=1e-6)


def test_one_input_cannot_be_interpolated():
    with pytest.raises(SceneError, match=r"at least 2 inputs.*orbit"):
        interpolate(converging(1), 3)


def test_converging_axes_meet_at_the_focus():
    torch.testing.assert_close(
        focus_point(converging(3), None, None), torch.zeros(3).double(), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(("near", "far", "depth"), [(1.0, 100.0, 1 / 0.7525), (None, None, 1.0)])
def test_a_single_camera_looks_straight_ahead(near, far, depth):
    alone = cameras(torch.eye(4)[None])
    expected = torch.tensor([0, 0, depth]).double()
    torch.testing.assert_close(focus_point(alone, near, far), expected)


def test_an_orbit_starts_at_the_first_input_and_keeps_its_distance():
    inputs = converging(3)
    made = orbit(inputs, 8, degrees=360.0, near=None, far=None)
    made.validate("camera")
    torch.testing.assert_close(
        made.world_from_camera[0], inputs.world_from_camera[0], rtol=0, atol=1e-5
    )
    torch.testing.assert_close(made.centres.norm(dim=1), torch.full((8,), 4.0))
    torch.testing.assert_close(made.centres.mean(dim=0), torch.zeros(3), rtol=0, atol=1e-5)


def test_a_spiral_looks_at_the_focus():
    made = spiral(converging(3), 12, near=None, far=None)
    made.validate("camera")
    forward = made.world_from_camera[:, :3, 2]
    to_focus = torch.nn.functional.normalize(-made.centres, dim=1)
    torch.testing.assert_close(forward, to_focus, rtol=0, atol=1e-4)


@pytest.mark.parametrize("path", ["orbit:6", "spiral:6"])
def test_paths_around_cameras_that_look_straight_down_are_rigid(path):
    pose = torch.eye(4)
    pose[:3, :3] = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    inputs = cameras(torch.stack([pose, pose]))
    make = orbit if path.startswith("orbit") else spiral
    extra = {"degrees": 90.0} if make is orbit else {}
    make(inputs, 6, near=None, far=None, **extra).validate("camera")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interpolate:0", "no targets"),
        ("interpolate:-3", "no targets"),
        ("spiral:1001", "1001 targets are more than the 1000"),
        ("interpolate", "'' is not a whole number"),
        ("orbit:x", "'x' is not a whole number"),
        ("orbit:1_0", "'1_0' is not a whole number"),
        ("interpolate:٣", "'٣' is not a whole number"),
        ("orbit:3:nan", "'nan' is not an angle"),
        ("orbit:3:0", "'0' is not an angle"),
        ("indices:", "'' is not a whole number"),
        ("indices:1,,2", "'' is not a whole number"),
        ("indices:" + ",".join(map(str, range(1001))), "1001 targets"),
        ("interpolat:3", "unknown targets 'interpolat:3'. Did you mean 'interpolate'?"),
        ("", "unknown targets ''"),
    ],
)
def test_a_bad_specification_is_one_clear_error(text, message):
    with pytest.raises(SceneError, match=message.replace("?", r"\?")):
        parse_targets(text)


def test_interpolated_targets_have_positions_along_the_capture(tmp_path):
    transforms_scene(tmp_path)
    write_json(tmp_path / "train_test_split_2.json", {"train_ids": [4, 0], "test_ids": [1]})
    scene = read_scene(tmp_path, targets="interpolate:3")
    assert scene.order == (4, 0, 1, 2, 3)
    nearest_to_zero = (scene.targets.centres[0] - scene.inputs.centres[1]).norm()
    assert nearest_to_zero < (scene.targets.centres[0] - scene.inputs.centres[0]).norm()


def test_chosen_frames_keep_their_truth_and_position(tmp_path):
    transforms_scene(tmp_path)
    scene = read_scene(tmp_path, targets="indices:3,1")
    assert scene.order == (0, 4, 3, 1)
    assert scene.target_images is not None
    with pytest.raises(SceneError, match="frame 5 does not exist; there are 0 to 4"):
        read_scene(tmp_path, targets="indices:5")


def test_paths_without_a_place_in_the_capture_drop_the_order(tmp_path):
    transforms_scene(tmp_path)
    for text in ("orbit:4:30", "spiral:4"):
        scene = read_scene(tmp_path, targets=text)
        assert scene.order is None
        assert len(scene.targets) == 4


def test_a_file_of_poses_gives_the_targets(tmp_path):
    content = transforms_scene(tmp_path)
    expected = read_scene(tmp_path, size=(16, 16)).targets
    content["frames"] = content["frames"][1:4]
    write_json(tmp_path / "path.json", content)
    made = read_scene(tmp_path, size=(16, 16), targets=str(tmp_path / "path.json")).targets
    assert torch.equal(made.world_from_camera, expected.world_from_camera)
    assert torch.equal(made.intrinsics, expected.intrinsics)


def test_bare_poses_take_the_first_inputs_intrinsics(tmp_path):
    transforms_scene(tmp_path)
    poses = random_poses(2, seed=9)
    path = tmp_path / "path.json"
    content = {"convention": "opencv_c2w", "targets": [{"pose": p} for p in poses.tolist()]}
    write_json(path, content)
    scene = read_scene(tmp_path, size=(16, 16), targets=str(path))
    torch.testing.assert_close(scene.targets.world_from_camera, poses.float())
    torch.testing.assert_close(scene.targets.intrinsics, scene.inputs.intrinsics)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"frames": []}, "'frames' is empty"),
        ({"poses": []}, "'convention' is missing"),
        ({}, r"'frames' as transforms\.json has.*'camera_path'.*'keyframes'"),
        ({"convention": "opencv_c2w"}, "no targets"),
    ],
)
def test_a_bad_file_of_poses_is_one_clear_error(tmp_path, content, message):
    transforms_scene(tmp_path)
    write_json(tmp_path / "path.json", content)
    with pytest.raises(SceneError, match=message):
        read_scene(tmp_path, targets=str(tmp_path / "path.json"))


def test_a_file_of_poses_may_end_in_capitals(tmp_path):
    content = transforms_scene(tmp_path)
    write_json(tmp_path / "PATH.JSON", {**content, "frames": content["frames"][1:4]})
    made = read_scene(tmp_path, targets=str(tmp_path / "PATH.JSON")).targets
    assert torch.equal(made.world_from_camera, read_scene(tmp_path).targets.world_from_camera)


def test_a_missing_file_of_poses_is_named(tmp_path):
    transforms_scene(tmp_path)
    with pytest.raises(SceneError, match=r"absent\.json: no such file"):
        read_scene(tmp_path, targets=str(tmp_path / "absent.json"))
