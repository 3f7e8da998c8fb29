"""Intrinsics of a target file without a size are for the scene's photos, not the fitted size."""

import json

import pytest
import torch
from photo_scenes import SIZE, transforms, write_photo_scene
from PIL import Image

from sphinx_framework.scenes.load import load_scene
from sphinx_framework.serve.scene_files import camera_list

FITTED = (16, 16)
HEIGHT, WIDTH = SIZE
PLAIN = {"fx": 40.0, "fy": 40.0, "cx": WIDTH / 2, "cy": HEIGHT / 2}
POSE = [[1, 0, 0, 0.1], [0, 1, 0, 0], [0, 0, 1, 0]]


def frames(keys):
    content = transforms()
    return {**{key: content[key] for key in keys}, "frames": content["frames"][1:3]}


def lent(intrinsics):
    return {
        "convention": "opencv_c2w",
        "keyframes": [
            {"time": 0, "pose": POSE, "intrinsics": intrinsics},
            {"time": 1, "input": 0},
        ],
    }


FILES = {
    "all keys": frames(("fl_x", "fl_y", "cx", "cy")),
    "one focal length": frames(("fl_x",)),
    "a size": frames(("fl_x", "w", "h")),
    "an angle": {"camera_angle_x": 2 * torch.tensor(0.5).atan().item(), **frames(())},
    "nothing": frames(()),
    "cameras": {"convention": "opencv_c2w", "targets": [{"pose": POSE, "intrinsics": PLAIN}]},
    "shares": {
        "convention": "opencv_c2w",
        "targets": [{"pose": POSE, "intrinsics": {"fx": 1.0, "fy": 1.25, "cx": 0.5, "cy": 0.5}}],
    },
    "key frames": lent(PLAIN),
    "a path": {
        "camera_path": [
            {"camera_to_world": transforms()["frames"][1]["transform_matrix"],
             "fov": 2 * torch.tensor(0.4).atan().rad2deg().item()}
        ]
    },
}  # fmt: skip


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("name", FILES)
def test_they_are_fitted_as_the_scenes_own_are(tmp_path, name, fit):
    scene = write_photo_scene(tmp_path / "scene")
    (tmp_path / "targets.json").write_text(json.dumps(FILES[name]))
    found = load_scene(scene, targets=str(tmp_path / "targets.json"), size=FITTED, fit=fit)
    wanted = load_scene(scene, size=FITTED, fit=fit).targets.intrinsics[0]
    torch.testing.assert_close(found.targets.intrinsics, wanted.expand(len(found.targets), 3, 3))


def test_they_are_for_what_the_scenes_own_are_where_its_photos_are_smaller_copies(tmp_path):
    scene = write_photo_scene(tmp_path / "scene")
    for photo in (scene / "images").iterdir():
        Image.open(photo).resize((WIDTH // 2, HEIGHT // 2)).save(photo)
    (tmp_path / "targets.json").write_text(json.dumps(FILES["all keys"]))
    found = load_scene(scene, targets=str(tmp_path / "targets.json"))
    torch.testing.assert_close(found.targets.intrinsics[0], found.inputs.intrinsics[0])


def test_cameras_that_a_server_tells_come_back_as_they_were(tmp_path):
    folder = write_photo_scene(tmp_path / "scene")
    scene = load_scene(folder, size=FITTED)
    told = {"convention": "opencv_c2w", "targets": camera_list(scene, scene.targets)}
    (tmp_path / "targets.json").write_text(json.dumps(told))
    again = load_scene(folder, targets=str(tmp_path / "targets.json"), size=FITTED)
    torch.testing.assert_close(again.targets.intrinsics, scene.targets.intrinsics)
