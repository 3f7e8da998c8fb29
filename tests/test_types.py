from dataclasses import replace

import pytest
import torch

from sphinx_framework.errors import SceneError
from sphinx_framework.testing.fakes import fake_cameras, fake_scene
from sphinx_framework.types import Cameras, ClipLayout, Slot


def with_pose(cameras, index, change):
    poses = cameras.world_from_camera.clone()
    change(poses[index])
    return replace(cameras, world_from_camera=poses)


def with_intrinsics(cameras, change):
    intrinsics = cameras.intrinsics.clone()
    change(intrinsics[0])
    return replace(cameras, intrinsics=intrinsics)


def set_entry(row, column, value):
    def change(matrix):
        matrix[row, column] = value

    return change


def turned(angle=0.7):
    cameras = fake_cameras(2, (8, 8))
    c, s = torch.cos(torch.tensor(angle)), torch.sin(torch.tensor(angle))
    poses = cameras.world_from_camera.clone()
    poses[:, 0, 0], poses[:, 0, 2], poses[:, 2, 0], poses[:, 2, 2] = c, s, -s, c
    poses[:, :3, 3] = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    return replace(cameras, world_from_camera=poses)


def test_a_scene_without_numbers_is_refused():
    scene = fake_scene()
    nowhere = scene.to(torch.device("meta"))
    for empty in (nowhere, replace(nowhere, images=scene.images)):
        with pytest.raises(SceneError, match="on meta, without numbers"):
            empty.validate()


def test_a_scene_of_the_fakes_is_valid():
    fake_scene().validate()


def test_inverse_poses_undo_the_poses():
    cameras = turned()
    product = cameras.camera_from_world @ cameras.world_from_camera
    torch.testing.assert_close(product, torch.eye(4).expand(2, 4, 4), atol=1e-5, rtol=0)


def test_centres_are_the_translations_of_camera_to_world():
    assert turned().centres.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("index", [1, slice(1, 2), [1]])
def test_indexing_keeps_a_batch_of_cameras(index):
    part = turned()[index]
    assert len(part) == 1
    assert part.centres.tolist() == [[4, 5, 6]]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (set_entry(0, 3, float("nan")), "target camera 1.*NaN or infinity"),
        (set_entry(0, 3, float("inf")), "NaN or infinity"),
        (set_entry(0, 0, 2.0), "target camera 1.*not rigid"),
        (set_entry(0, 0, -1.0), "not rigid.*determinant -1"),
        (set_entry(0, 1, 0.2), "not rigid"),
    ],
)
def test_a_pose_that_is_no_rigid_motion_is_named(change, complaint):
    scene = fake_scene()
    broken = replace(scene, targets=with_pose(scene.targets, 1, change))
    with pytest.raises(SceneError, match=complaint):
        broken.validate()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (set_entry(0, 0, 0.0), "input camera 0: focal lengths must be positive"),
        (set_entry(1, 1, -3.0), "focal lengths must be positive"),
        (set_entry(0, 2, float("nan")), "NaN"),
        (set_entry(2, 0, 16.0), "transposed"),
        (set_entry(0, 1, 5.0), "a skew of 5 pixels"),
        (lambda k: k[:2].div_(32), "multiply normalised ones"),
    ],
)
def test_intrinsics_that_cannot_be_are_named(change, complaint):
    scene = fake_scene()
    with pytest.raises(SceneError, match=complaint):
        replace(scene, inputs=with_intrinsics(scene.inputs, change)).validate()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda s: {"images": s.images[:, :2]}, r"must be \[N, 3, H, W\]"),
        (lambda s: {"images": s.images[:1]}, "1 images but 2 input cameras"),
        (lambda s: {"images": s.images[..., :16]}, "images are .32, 16., but the cameras say"),
        (lambda s: {"targets": fake_cameras(3, (16, 16))}, r"\(16, 16\) \(targets\)"),
        (lambda s: {"images": s.images * 255}, r"must lie in \[0, 1\]"),
        (lambda s: {"images": s.images - 1}, r"must lie in \[0, 1\]"),
        (lambda s: {"images": s.images * float("nan")}, "hold NaN or infinity"),
        (lambda s: {"targets": s.targets[:0]}, "at least 1 input and 1 target, got 2 and 0"),
        (lambda s: {"inputs": s.inputs[:0]}, "got 0 and 4"),
    ],
)
def test_a_scene_whose_parts_do_not_fit_is_refused(change, complaint):
    scene = fake_scene()
    with pytest.raises(SceneError, match=complaint):
        replace(scene, **change(scene)).validate()


def test_an_order_that_does_not_name_every_camera_is_refused():
    with pytest.raises(SceneError, match="order"):
        replace(fake_scene(), order=(0.0, 1.0)).validate()


def test_a_pose_whose_last_row_is_not_0_0_0_1_is_refused():
    scene = fake_scene()
    with pytest.raises(SceneError, match="not rigid"):
        replace(scene, targets=with_pose(scene.targets, 1, set_entry(3, 3, 2.0))).validate()


def test_rounding_at_the_ends_of_the_range_is_accepted():
    scene = fake_scene()
    replace(scene, images=scene.images.clamp(0, 1) * 1.0005).validate()


def test_moving_a_scene_moves_everything_and_keeps_the_rest():
    scene = replace(fake_scene(), target_images=torch.zeros(4, 3, 32, 32), warnings=("w",))
    moved = scene.to(torch.device("meta"))
    for tensor in (
        moved.images,
        moved.target_images,
        moved.inputs.intrinsics,
        moved.targets.world_from_camera,
    ):
        assert tensor.device.type == "meta"
    assert (moved.name, moved.order, moved.warnings) == (scene.name, scene.order, ("w",))


def test_a_layout_makes_the_targets_that_are_not_given():
    layout = ClipLayout(
        slots=(
            Slot(kind="input", index=0),
            Slot(kind="target", index=3, given=True),
            Slot(kind="target", index=1),
        )
    )
    assert len(layout) == 3
    assert layout.targets == {2: 1}


def test_values_are_immutable():
    with pytest.raises(AttributeError):
        fake_cameras(1, (8, 8)).image_size = (1, 1)  # type: ignore[misc]
    assert Cameras.__dataclass_params__.frozen
