import pytest
import torch
from scene_folders import opengl, random_poses, save_gradient, write_json

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.readers import read_scene

NAMED = {"fx": 30.0, "fy": 31.0, "cx": 16.5, "cy": 11.5}
MATRIX = [[30.0, 0, 16.5], [0, 31.0, 11.5], [0, 0, 1]]


SHARES = {"fx": 30 / 32, "fy": 31 / 24, "cx": 16.5 / 32, "cy": 11.5 / 24}


def photos(folder, convention="opencv_c2w", intrinsics=NAMED, rows=4, **more):
    """Write two photos and one target."""
    poses = random_poses(3)
    stored = {
        "opencv_c2w": poses.tolist(),
        "opengl_c2w": opengl(poses),
        "opencv_w2c": torch.linalg.inv(poses).tolist(),
    }[convention]
    for name in ("left.png", "right.png"):
        save_gradient(folder / name, 24, 32)
    content = {
        "convention": convention,
        "inputs": [
            {"file": name, "pose": pose[:rows], "intrinsics": intrinsics}
            for name, pose in zip(("left.png", "right.png"), stored, strict=False)
        ],
        "targets": [{"pose": stored[2][:rows]}],
    } | more
    write_json(folder / "cameras.json", content)
    return content


@pytest.mark.parametrize("convention", ["opencv_c2w", "opengl_c2w", "opencv_w2c"])
@pytest.mark.parametrize("rows", [3, 4])
def test_every_convention_gives_the_same_cameras(tmp_path, convention, rows):
    photos(tmp_path, convention, rows=rows)
    scene = read_scene(tmp_path)
    read = torch.cat([scene.inputs.world_from_camera, scene.targets.world_from_camera])
    torch.testing.assert_close(read.double(), random_poses(3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("intrinsics", [NAMED, MATRIX, SHARES])
def test_every_form_of_intrinsics_gives_the_same_matrix(tmp_path, intrinsics):
    photos(tmp_path, intrinsics=intrinsics)
    scene = read_scene(tmp_path)
    torch.testing.assert_close(scene.inputs.intrinsics[1], torch.tensor(MATRIX))
    torch.testing.assert_close(scene.targets.intrinsics[0], torch.tensor(MATRIX))


def test_terms_of_nothing_beside_intrinsics_say_nothing(tmp_path):
    photos(tmp_path, intrinsics=NAMED | {"skew": 0, "k1": 0.0})
    torch.testing.assert_close(read_scene(tmp_path).inputs.intrinsics[1], torch.tensor(MATRIX))


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("intrinsics", [NAMED, SHARES])
def test_smaller_copies_are_said_and_seen_through_cameras_of_the_whole(tmp_path, intrinsics, sized):
    content = photos(tmp_path, intrinsics=intrinsics)
    for entry in content["inputs"]:
        if sized:
            entry.update(width=32, height=24)
        save_gradient(tmp_path / "images_2" / entry["file"], 12, 16)
        entry["file"] = f"images/{entry['file']}"
    content["targets"][0]["file"] = "images/left.png"
    write_json(tmp_path / "cameras.json", content)
    scene = read_scene(tmp_path)
    halved = torch.diag(torch.tensor([0.5, 0.5, 1])) @ torch.tensor(MATRIX)
    torch.testing.assert_close(scene.inputs.intrinsics, halved.expand(2, 3, 3))
    torch.testing.assert_close(scene.targets.intrinsics[0], halved)
    said = [text for text in scene.warnings if "'file': 'images' is not there" in text]
    assert len(said) == 1


def test_only_a_truth_that_is_a_smaller_copy_is_scaled(tmp_path):
    content = photos(tmp_path)
    save_gradient(tmp_path / "truth_2/left.png", 12, 16)
    content["targets"][0]["file"] = "truth/left.png"
    write_json(tmp_path / "cameras.json", content)
    scene = read_scene(tmp_path)
    torch.testing.assert_close(scene.targets.intrinsics[0], torch.tensor(MATRIX))


def test_positions_count_when_all_are_given(tmp_path):
    content = photos(tmp_path)
    assert read_scene(tmp_path).order is None
    for position, entry in zip((0, 10, 4.5), content["inputs"] + content["targets"], strict=True):
        entry["position"] = position
    write_json(tmp_path / "cameras.json", content)
    assert read_scene(tmp_path).order == (0, 10, 4.5)


def test_the_depth_range_is_kept_and_can_be_overridden(tmp_path):
    photos(tmp_path, near=0.5, far=20)
    scene = read_scene(tmp_path)
    assert (scene.near, scene.far) == (0.5, 20)
    scene = read_scene(tmp_path, near=1.0, far=2.0)
    assert (scene.near, scene.far) == (1, 2)
    with pytest.raises(SceneError, match="0 < near < far"):
        read_scene(tmp_path, near=2.0, far=1.0)


def test_photos_of_different_sizes_need_a_size(tmp_path):
    photos(tmp_path)
    save_gradient(tmp_path / "right.png", 48, 64)
    with pytest.raises(SceneError, match=r"inputs\[1\]: the image is 64x48.*Give a size"):
        read_scene(tmp_path)
    scene = read_scene(tmp_path, size=(16, 16))
    assert scene.images.shape == (2, 3, 16, 16)


def test_without_targets_a_specification_is_needed(tmp_path):
    photos(tmp_path, targets=None)
    with pytest.raises(SceneError, match=r"no targets.*--targets"):
        read_scene(tmp_path)
    assert len(read_scene(tmp_path, targets="interpolate:3").targets) == 3


def test_ground_truth_of_targets_is_loaded(tmp_path):
    content = photos(tmp_path)
    save_gradient(tmp_path / "truth.png", 24, 32)
    content["targets"][0]["file"] = "truth.png"
    write_json(tmp_path / "cameras.json", content)
    scene = read_scene(tmp_path)
    assert scene.target_images is not None
    assert torch.equal(scene.target_images[0], scene.images[0])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"convention": "blender"}, "unknown convention 'blender'"),
        ({"convention": 3}, "'convention': must be a string"),
        ({"inputs": []}, "'inputs' is empty"),
        ({"inputs": [{"pose": MATRIX}]}, "'pose': must be a 4x4 or 3x4"),
        ({"targets": "all"}, "'targets': must be a list"),
        ({"near": "close"}, "'near': must be a number"),
        ({"near": 3, "far": 2}, "0 < near < far"),
    ],
)
def test_bad_content_is_one_clear_error(tmp_path, more, message):
    write_json(tmp_path / "cameras.json", photos(tmp_path) | more)
    with pytest.raises(SceneError, match=message):
        read_scene(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("file", None, r"inputs\[0\]: the key 'file' is missing"),
        ("file", "absent.png", "no such image file"),
        ("pose", None, "the key 'pose' is missing"),
        ("intrinsics", None, "the key 'intrinsics' is missing"),
        ("intrinsics", {"fx": 1}, "the key 'fy' is missing"),
        ("intrinsics", NAMED | {"k1": 0.3}, r"inputs\[0\], 'intrinsics': 'k1' is none of its keys"),
        ("intrinsics", NAMED | {"width": 32}, "'width' is none of its keys"),
        ("intrinsics", [[1, 2, 3]], "must be a 3x3 matrix"),
        ("intrinsics", [[1, 2, 3], [0, 1, 3], [0, 0, 1]], r"must be \[\[fx, 0, cx\]"),
        ("width", 3, "give both 'width' and 'height'"),
        ("width", 1.5, "must be a whole number"),
    ],
)
def test_a_bad_input_is_one_clear_error(tmp_path, key, value, message):
    content = photos(tmp_path)
    content["inputs"][0][key] = value
    write_json(tmp_path / "cameras.json", content)
    with pytest.raises(SceneError, match=message):
        read_scene(tmp_path)
