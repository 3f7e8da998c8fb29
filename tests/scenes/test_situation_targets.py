"""Targets and cameras that do not fit the scene, and paths from other tools."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from brought import same
from photo_scenes import SIZE
from PIL import Image

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.checks import camera_doubts
from sphinx_framework.scenes.load import load_scene

HEIGHT, WIDTH = SIZE


def applied(content):
    """Write the poses in the world that an applied transform leads to."""
    move = np.array([[0, 0, 1, 0.5], [1, 0, 0, 0], [0, 1, 0, -2], [0, 0, 0, 1.0]])
    content["applied_transform"] = move[:3].tolist()
    for frame in content["frames"]:
        frame["transform_matrix"] = (move @ np.array(frame["transform_matrix"])).tolist()


@pytest.mark.parametrize("kind", ["cut", "new", "own", "undone"])
def test_a_path_stands_in_the_world_of_the_scene_file(bring, clean, tmp_path, kind):
    path = tmp_path / "path.json"

    def change(content, _):
        plain = json.loads(json.dumps(content["frames"][1:-1]))
        applied(content)
        frames = json.loads(json.dumps(content["frames"][1:-1]))
        written = {key: content[key] for key in ("fl_x", "fl_y", "cx", "cy", "w", "h")}
        if kind == "own":
            written["applied_transform"] = content["applied_transform"]
        if kind == "undone":
            frames = plain
        if kind == "new":
            for frame in frames:
                frame["transform_matrix"][0][3] += 0.001
        path.write_text(json.dumps({**written, "frames": frames}))

    found = bring(change, targets=str(path))
    wanted = load_scene(clean).targets.world_from_camera
    assert torch.allclose(found.targets.world_from_camera, wanted, atol=2e-3)
    assert any("applied_transform" in text for text in found.warnings) == (kind == "new")


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("moved", [True, False])
def test_a_path_of_nerfstudios_viewer(bring, clean, tmp_path, nested, moved):
    angle = math.degrees(2 * math.atan(HEIGHT / 2 / 40.0))
    path = tmp_path / "camera_path.json"
    world = np.array([[0, 1, 0, 0.2], [-1, 0, 0, 0], [0, 0, 1, 3], [0, 0, 0, 1.0]])

    def change(content, _):
        entries = []
        for frame in content["frames"][1:-1]:
            pose = np.array(frame["transform_matrix"])
            if moved:
                pose = world @ pose
                pose[:3, 3] *= 0.25
            matrix = pose.tolist() if nested else pose.flatten().tolist()
            entries.append({"camera_to_world": matrix, "fov": angle, "aspect": WIDTH / HEIGHT})
        size = {"render_width": 10 * WIDTH, "render_height": 10 * HEIGHT}
        path.write_text(json.dumps({"camera_type": "perspective", **size, "camera_path": entries}))
        if moved:
            told = {"transform": world[:3].tolist(), "scale": 0.25}
            (tmp_path / "dataparser_transforms.json").write_text(json.dumps(told))

    same(bring(change, targets=str(path)), clean)


@pytest.mark.parametrize("viewer", [True, False])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_viewers_path_of_a_moved_scene_is_moved_back_once(bring, clean, tmp_path, viewer, scale):
    angle = math.degrees(2 * math.atan(HEIGHT / 2 / 40.0))
    path = tmp_path / "camera_path.json"
    turn = np.array([[0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])

    def change(content, _):
        applied(content)
        content["applied_scale"] = scale
        for frame in content["frames"]:
            for row in frame["transform_matrix"][:3]:
                row[3] *= scale
        poses = [np.array(frame["transform_matrix"]) for frame in content["frames"][1:-1]]
        if viewer:
            poses = [turn @ pose for pose in poses]
            for pose in poses:
                pose[:3, 3] *= 0.25
            # As nerfstudio's dataparser saves them: what its viewer did to the poses of the scene
            # file, times what that file says was applied to them before.
            whole = turn @ np.array([*content["applied_transform"], [0, 0, 0, 1]])
            saved = {"transform": whole[:3].tolist(), "scale": 0.25 * scale}
            path.with_name("dataparser_transforms.json").write_text(json.dumps(saved))
        way = [{"camera_to_world": pose.tolist(), "fov": angle} for pose in poses]
        path.write_text(json.dumps({"camera_path": way}))

    found = bring(change, targets=str(path))
    same(found, clean)
    assert any("'applied_transform'" in text for text in found.warnings) == (not viewer)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"camera_type": "fisheye"}, "'camera_type'"),
        ({"camera_path": []}, "no targets"),
        ({"camera_path": [{"fov": 50}]}, r"camera_path\[0\].*'camera_to_world'"),
        ({"camera_path": [{"camera_to_world": [1.0] * 15, "fov": 50}]}, "'camera_to_world'"),
        ({"camera_path": [{"camera_to_world": np.eye(4).tolist(), "fov": 180}]}, "'fov'"),
        ({"camera_path": [{"camera_to_world": np.eye(4).tolist()}]}, "'fov'"),
        ({"render_width": 7}, "render_width"),
    ],
)
def test_a_path_that_cannot_be_is_refused_by_key(bring, tmp_path, change, told):
    path = tmp_path / "camera_path.json"
    good = {"camera_path": [{"camera_to_world": np.eye(4).tolist(), "fov": 50}]}
    path.write_text(json.dumps({**good, **change}))
    with pytest.raises(SceneError, match=told):
        bring(lambda c, _: None, targets=str(path))


def turn_back(frame):
    pose = np.array(frame["transform_matrix"])
    frame["transform_matrix"] = (pose @ np.diag([-1.0, 1, -1, 1])).tolist()


def test_targets_that_see_nothing_are_refused(bring):
    with pytest.raises(SceneError, match="none of the 10 targets sees anything"):
        bring(lambda c, _: [turn_back(frame) for frame in c["frames"][1:-1]] and None)


def test_some_targets_that_see_nothing_are_named(bring):
    found = bring(lambda c, _: turn_back(c["frames"][4]))
    assert "1 of 10 targets see nothing of what the inputs saw: 3" in found.warnings


def test_targets_far_from_all_inputs_are_told(bring, tmp_path):
    path = tmp_path / "path.json"

    def change(content, _):
        frame = json.loads(json.dumps(content["frames"][3]))
        frame["transform_matrix"][2][3] = 60.0
        written = {key: content[key] for key in ("fl_x", "fl_y", "cx", "cy", "w", "h")}
        path.write_text(json.dumps({**written, "frames": [frame]}))

    assert any("in one scale" in text for text in bring(change, targets=str(path)).warnings)


@pytest.mark.parametrize("alpha", [255, 100])
def test_transparency_is_told_where_there_is_some(bring, alpha):
    def change(_, folder):
        for file in (folder / "images").iterdir():
            photo = Image.open(file).convert("RGBA")
            photo.putalpha(alpha)
            photo.save(file)

    told = [text for text in bring(change).warnings if "transparency" in text]
    assert len(told) == (alpha < 255)


def test_a_scene_of_dl3dv_is_found_one_folder_down(clean, tmp_path):
    (tmp_path / "hash").mkdir()
    clean.rename(tmp_path / "hash/nerfstudio")
    assert len(load_scene(tmp_path / "hash").targets) == 10


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "~nobody-of-that-name/x"])
def test_a_path_that_no_scene_can_have_is_refused(path):
    with pytest.raises(SceneError, match=r"cannot be opened|no such scene"):
        load_scene(path)


def test_masks_that_are_not_used_are_told(bring):
    found = bring(lambda c, _: c["frames"][2].update(mask_path="masks/2.png"))
    assert any("'mask_path'" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cx": 100.0}, r"frames\[0\], 'cx', 'cy': the principal point"),
        ({"cy": -3.0}, "'cx', 'cy': the principal point"),
        ({"fl_x": 0.7}, "'fl_x': a focal length of 0.7 pixels"),
        ({"camera_angle_x": 3.2, "fl_x": None}, "'camera_angle_x'"),
        ({"is_fisheye": True}, "'is_fisheye'"),
        ({"is_fisheye": 1}, "'is_fisheye': is 1;"),
        ({"is_fisheye": "true"}, "'is_fisheye'"),
        ({"is_fisheye": "false"}, "'is_fisheye'"),
        ({"is_fisheye": [False]}, "'is_fisheye'"),
        ({"camera_model": "OPENCV_FISHEYE"}, "OPENCV_FISHEYE"),
    ],
)
def test_intrinsics_that_cannot_be_are_refused_by_key(bring, change, told):
    with pytest.raises(SceneError, match=told):
        bring(lambda c, _: c.update(change))


@pytest.mark.parametrize("value", [False, None, 0])
def test_a_lens_that_is_no_fisheye_may_say_so(bring, clean, value):
    same(bring(lambda c, _: c.update(is_fisheye=value)), clean)


def bent(content):
    return [{**frame, "k1": 0.2} for frame in content["frames"]]


def without_size(content):
    del content["w"], content["h"]
    content["cx"] = 2.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c, _: c["frames"][1].update(fl_x=41.0), "'fl_x' differ from the top level"),
        (lambda c, _: c.update(k1=0.0, frames=bent(c)), "'k1' differ from the top level"),
        (lambda c, _: c.update(k1=0.2), "it moves a corner by up to"),
        (lambda c, _: without_size(c), "another size"),
    ],
)
def test_what_is_doubtful_is_told(bring, change, told):
    found = bring(change)
    assert any(told in warning for warning in found.warnings), found.warnings


def test_distortion_that_moves_nothing_is_not_worth_a_word(bring):
    assert bring(lambda c, _: c.update(k1=1e-6)).warnings == ()


def test_coordinates_far_from_the_origin_are_centred_and_not_worth_a_word(bring):
    def change(content, _):
        for frame in content["frames"]:
            frame["transform_matrix"][1][3] += 5e6

    far, near = bring(change), bring(lambda content, _: None)
    assert far.warnings == near.warnings
    assert float(far.inputs.centres.abs().max()) < 100


def test_cameras_in_memory_that_lose_precision_are_told(bring):
    near = bring(lambda content, _: None).inputs
    poses = near.world_from_camera.clone()
    poses[:, 1, 3] += 5e6
    far = replace(near, world_from_camera=poses)
    assert any("single precision" in doubt for doubt in camera_doubts(far, far, None, None))
