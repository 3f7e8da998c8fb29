import json
from pathlib import Path

import pytest
import torch
from goldens import golden
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_folders import opengl, random_poses, save_gradient, transforms_scene, write_json

from sphinx_framework.errors import SceneError
from sphinx_framework.output.transforms import write_transforms
from sphinx_framework.scenes.readers import read_scene
from sphinx_framework.scenes.transforms import read_transform_shots, read_transforms
from sphinx_framework.types import Cameras


def test_opengl_poses_become_opencv_poses(tmp_path):
    transforms_scene(tmp_path)
    capture = read_transforms(tmp_path)
    read = torch.stack([shot.world_from_camera for shot in capture.shots])
    torch.testing.assert_close(read, random_poses(5))


def test_three_row_matrices_with_normalised_intrinsics_are_world_to_camera(tmp_path):
    content = transforms_scene(tmp_path)
    content |= {"fl_x": 0.9, "fl_y": 1.2, "cx": 0.5, "cy": 0.5}
    inverse = torch.linalg.inv(random_poses(5))[:, :3]
    for frame, matrix in zip(content["frames"], inverse.tolist(), strict=True):
        frame["transform_matrix"] = matrix
    write_json(tmp_path / "transforms.json", content)
    scene = read_scene(tmp_path)
    torch.testing.assert_close(scene.inputs.world_from_camera.double(), random_poses(5)[[0, 4]])
    expected = torch.tensor([[0.9 * 32, 0, 16], [0, 1.2 * 24, 12], [0, 0, 1]])
    torch.testing.assert_close(scene.inputs.intrinsics[0], expected)
    assert scene.warnings == ()


@pytest.mark.parametrize("sign", ["rows", "intrinsics"])
def test_one_sign_alone_is_read_as_opengl_with_a_warning(tmp_path, sign):
    content = transforms_scene(tmp_path)
    if sign == "rows":
        for frame in content["frames"]:
            frame["transform_matrix"] = frame["transform_matrix"][:3]
    else:
        content |= {"fl_x": 0.9, "fl_y": 1.2, "cx": 0.5, "cy": 0.5}
    write_json(tmp_path / "transforms.json", content)
    capture = read_transforms(tmp_path)
    torch.testing.assert_close(capture.shots[2].world_from_camera, random_poses(5)[2])
    assert "may mean OpenCV world-to-camera" in capture.warnings[0]


def test_the_convention_can_be_forced(tmp_path):
    transforms_scene(tmp_path)
    shots, warnings = read_transform_shots(tmp_path / "transforms.json", convention="opencv_w2c")
    flipped = torch.tensor(opengl(random_poses(5)), dtype=torch.float64)
    read = torch.stack([shot.world_from_camera for shot in shots])
    torch.testing.assert_close(read, torch.linalg.inv(flipped))
    assert warnings == ()


def test_an_unknown_convention_is_refused(tmp_path):
    transforms_scene(tmp_path)
    with pytest.raises(SceneError, match="unknown camera convention 'blender'"):
        read_scene(tmp_path, convention="blender")


def test_without_a_split_first_and_last_are_inputs(tmp_path):
    transforms_scene(tmp_path)
    scene = read_scene(tmp_path)
    assert scene.order == (0, 4, 1, 2, 3)
    assert scene.target_images is not None


def test_the_split_file_decides_and_two_is_the_default(tmp_path):
    transforms_scene(tmp_path)
    write_json(tmp_path / "train_test_split_2.json", {"train_ids": [1, 3], "test_ids": [2]})
    write_json(tmp_path / "train_test_split_3.json", {"train_ids": [0, 2, 4], "test_ids": [3, 1]})
    assert read_scene(tmp_path).order == (1, 3, 2)
    assert read_scene(tmp_path, split=3).order == (0, 2, 4, 3, 1)
    with pytest.raises(SceneError, match=r"no split '7'.*Splits found: 2, 3"):
        read_scene(tmp_path, split="7")


def test_a_lone_split_is_taken_and_several_need_a_choice(tmp_path):
    transforms_scene(tmp_path)
    write_json(tmp_path / "train_test_split_1.json", {"train_ids": [1], "test_ids": [2]})
    assert read_scene(tmp_path).order == (1, 2)
    write_json(tmp_path / "train_test_split_3.json", {"train_ids": [0], "test_ids": [3]})
    with pytest.raises(SceneError, match=r"several splits.*--split: 1, 3"):
        read_scene(tmp_path)


def test_targets_without_files_have_no_ground_truth(tmp_path):
    content = transforms_scene(tmp_path)
    for index, frame in enumerate(content["frames"]):
        if index in (1, 2, 3):
            frame["file_path"] = None if index == 2 else "images/absent.png"
    write_json(tmp_path / "transforms.json", content)
    scene = read_scene(tmp_path)
    assert scene.target_images is None
    assert len(scene.targets) == 3


def test_partial_ground_truth_is_dropped_with_a_warning(tmp_path):
    transforms_scene(tmp_path)
    (tmp_path / "images" / "002.png").unlink()
    scene = read_scene(tmp_path)
    assert scene.target_images is None
    assert scene.warnings == ("ground truth exists for 2 of 3 targets and is not used",)


def test_intrinsics_follow_an_image_stored_at_another_size(tmp_path):
    transforms_scene(tmp_path)
    full = read_scene(tmp_path, size=(12, 16))
    for i in range(5):
        save_gradient(tmp_path / f"images/{i:03d}.png", 12, 16)
    half = read_scene(tmp_path)
    torch.testing.assert_close(half.inputs.intrinsics, full.inputs.intrinsics)


def test_an_image_that_contradicts_its_camera_is_refused(tmp_path):
    transforms_scene(tmp_path)
    save_gradient(tmp_path / "images/000.png", 32, 24)
    with pytest.raises(SceneError, match=r"frames\[0\]: the image is 24x32.*stated for 32x24"):
        read_scene(tmp_path)


def test_distortion_is_reported_and_fisheye_refused(tmp_path):
    content = transforms_scene(tmp_path) | {"k1": 0.1, "k2": 0, "camera_model": "OPENCV"}
    write_json(tmp_path / "transforms.json", content)
    assert any("distortion was undone" in warning for warning in read_scene(tmp_path).warnings)
    write_json(tmp_path / "transforms.json", content | {"camera_model": "OPENCV_FISHEYE"})
    with pytest.raises(SceneError, match=r"not a pinhole camera.*Undistort"):
        read_scene(tmp_path)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png", "a/../../secret.png"])
def test_file_names_that_leave_the_folder_are_refused(tmp_path, name):
    content = transforms_scene(tmp_path)
    content["frames"][0]["file_path"] = name
    write_json(tmp_path / "transforms.json", content)
    with pytest.raises(SceneError, match="leads out of the scene folder"):
        read_scene(tmp_path)


def _drop(*keys):
    def change(content):
        for key in keys:
            content.pop(key, None)

    return change


def _set(key, value):
    return lambda content: content.update({key: value})


def _set_frame(key, value):
    return lambda content: content["frames"][1].update({key: value})


def _set_matrix(row, column, value):
    def change(content):
        content["frames"][1]["transform_matrix"][row][column] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop("fl_x", "fl_y"), r"frames\[0\]: the key 'fl_x' is missing"),
        (_drop("frames"), "the key 'frames' is missing"),
        (_set("frames", []), "'frames' is empty"),
        (_set("frames", {}), "'frames': must be a list"),
        (_set("frames", [1]), r"frames\[0\]: must be an object"),
        (_set("fl_x", "500"), "'fl_x': must be a number, got '500'"),
        (_set("fl_x", True), "'fl_x': must be a number, got True"),
        (_set("fl_x", 10**400), "'fl_x': holds NaN or infinity"),
        (_set("fl_x", -3), "frame 0: focal lengths must be positive"),
        (_set("w", 0), "'w': must be a whole number >= 1"),
        (_set("h", None), "give both 'w' and 'h'"),
        (_set("applied_transform", [[0, 0, 0, 0]] * 3), "'applied_transform' cannot be inverted"),
        (_set_frame("file_path", 7), r"frames\[1\], 'file_path': must be a string, got 7"),
        (_set_frame("transform_matrix", None), "'transform_matrix' is missing"),
        (_set_frame("transform_matrix", [[1, 0]]), "must be a 4x4 or 3x4 matrix"),
        (_set_frame("transform_matrix", [[1, 0, 0, 0]] * 2 + [[0]]), "must be a 4x4 or 3x4"),
        (_set_matrix(0, 0, float("nan")), "holds NaN or infinity"),
        (_set_matrix(0, 0, "1"), "must be a number"),
        (_set_matrix(0, 0, 7.0), "frame 1: its pose is not rigid"),
        (_set_matrix(3, 0, 1.0), "the last row of the pose must be 0 0 0 1"),
    ],
)
def test_bad_content_is_one_clear_error(tmp_path, change, message):
    content = transforms_scene(tmp_path)
    change(content)
    write_json(tmp_path / "transforms.json", content)
    with pytest.raises(SceneError, match=message):
        read_scene(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "nul", "[" * 100000, "\x00"])
def test_a_file_that_is_no_json_object_is_refused(tmp_path, text):
    transforms_scene(tmp_path)
    (tmp_path / "transforms.json").write_text(text)
    with pytest.raises(SceneError, match=r"transforms\.json"):
        read_scene(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    transforms_scene(tmp_path)
    (tmp_path / "transforms.json").write_bytes(b"\xff\xfe\xfa{")
    with pytest.raises(SceneError, match="is not valid JSON"):
        read_scene(tmp_path)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"train_ids": [0, 9], "test_ids": [1]}, "frame 9 does not exist; there are 0 to 4"),
        ({"train_ids": [0, 0], "test_ids": [1]}, "names a frame twice"),
        ({"train_ids": ["0"], "test_ids": [1]}, "must be a list of whole numbers"),
        ({"train_ids": [0]}, "'test_ids' is missing"),
        ({"train_ids": [], "test_ids": [1]}, "no input photo"),
        ({"train_ids": [0], "test_ids": []}, "has no targets"),
        ([], "must be an object"),
    ],
)
def test_a_bad_split_is_one_clear_error(tmp_path, split, message):
    transforms_scene(tmp_path)
    write_json(tmp_path / "train_test_split_2.json", split)
    with pytest.raises(SceneError, match=message):
        read_scene(tmp_path)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(0, 1000),
    st.integers(4, 2000),
    st.integers(4, 2000),
    st.booleans(),
)
def test_written_cameras_read_back_the_same(tmp_path_factory, count, seed, height, width, shared):
    generator = torch.Generator().manual_seed(seed)
    random = torch.rand(1 if shared else count, 4, generator=generator) + 0.5
    intrinsics = torch.eye(3).repeat(count, 1, 1)
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = random[:, 0] * width, random[:, 1] * height
    intrinsics[:, 0, 2], intrinsics[:, 1, 2] = random[:, 2] * width, random[:, 3] * height
    cameras = Cameras(
        world_from_camera=random_poses(count, seed).float(),
        intrinsics=intrinsics,
        image_size=(height, width),
    )
    path = tmp_path_factory.mktemp("written") / "transforms.json"
    write_transforms(path, cameras, file_paths=[f"frames/{i:03d}.png" for i in range(count)])
    shots, warnings = read_transform_shots(path)
    assert warnings == ()
    read = torch.stack([shot.world_from_camera for shot in shots])
    torch.testing.assert_close(read.float(), cameras.world_from_camera, rtol=0, atol=1e-6)
    kept = torch.stack([shot.intrinsics for shot in shots])
    torch.testing.assert_close(kept.float(), cameras.intrinsics, rtol=1e-6, atol=0)
    assert {shot.image_size for shot in shots} == {(height, width)}


def test_shots_match_the_golden_parser(tmp_path):
    fixture = golden("seva_conditioning")
    for name, content in fixture.info["parser_inputs"].items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "transforms.json").write_text(json.dumps(content))
        shots, _ = read_transform_shots(folder / "transforms.json", convention="opengl_c2w")
        poses = torch.stack([shot.world_from_camera for shot in shots])
        intrinsics = torch.stack([shot.intrinsics for shot in shots])
        tolerance = fixture.info["tolerance"]
        expected = fixture.tensors[f"out/parser_{name}.c2w"]
        torch.testing.assert_close(poses.float(), expected.float(), **tolerance)
        expected = fixture.tensors[f"out/parser_{name}.K"]
        torch.testing.assert_close(intrinsics.float(), expected.float(), **tolerance)


def test_an_empty_folder_names_what_was_looked_for(tmp_path):
    with pytest.raises(SceneError, match=r"one of transforms\.json, transforms_train\.json"):
        read_scene(tmp_path)


def test_a_missing_input_photo_is_named(tmp_path):
    transforms_scene(tmp_path)
    Path(tmp_path / "images/004.png").unlink()
    with pytest.raises(SceneError, match=r"004\.png: no such image file"):
        read_scene(tmp_path)
