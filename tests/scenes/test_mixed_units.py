"""Focal lengths and principal points are both in pixels or both shares of the image's size."""

import json
import math

import numpy as np
import pytest
from brought import same
from photo_scenes import SIZE

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import load_scene

HEIGHT, WIDTH = SIZE
MIDDLE = {"cx": 0.5, "cy": 0.5}
POSE = np.eye(4).tolist()


@pytest.mark.parametrize("key", ["fl_x", "fl_y"])
@pytest.mark.parametrize("place", ["scene", "targets"])
def test_pixels_beside_shares_are_refused(bring, tmp_path, key, place):
    def change(content, _):
        mixed = {**content, **MIDDLE, "fl_x": 1.0, "fl_y": 1.25, key: 40.0}
        (tmp_path / "targets.json").write_text(json.dumps(mixed))
        return mixed if place == "scene" else content

    options = {} if place == "scene" else {"targets": str(tmp_path / "targets.json")}
    with pytest.raises(SceneError, match=rf"frames\[0\], '{key}': is 40, but.*all as shares"):
        bring(change, **options)


@pytest.mark.parametrize("matrix", [True, False])
@pytest.mark.parametrize("place", ["inputs", "targets", "key frames"])
def test_so_they_are_in_cameras(clean, tmp_path, place, matrix):
    mixed = [[40, 0, 0.5], [0, 40, 0.5], [0, 0, 1]] if matrix else {"fx": 40, "fy": 40, **MIDDLE}
    plain = {"fx": 40, "fy": 40, "cx": WIDTH / 2, "cy": HEIGHT / 2}
    camera = {"pose": POSE, "intrinsics": mixed}
    photo = {"file": "images/0.png", "pose": POSE, "intrinsics": plain}
    scene = {
        "convention": "opencv_c2w",
        "inputs": [{**photo, "intrinsics": mixed} if place == "inputs" else photo],
        "targets": [camera if place == "targets" else {"pose": POSE}],
    }
    keys = [{"time": 0, "input": 0}, {"time": 1, **camera}]
    (clean / "transforms.json").unlink()
    (clean / "cameras.json").write_text(json.dumps(scene))
    (tmp_path / "keys.json").write_text(json.dumps({"convention": "opencv_c2w", "keyframes": keys}))
    options = {"targets": str(tmp_path / "keys.json")} if place == "key frames" else {}
    with pytest.raises(SceneError, match="'fx': is 40, but 'cx' and 'cy' lie within"):
        load_scene(clean, **options)


def test_so_they_are_in_lines_of_re10k(clean, tmp_path):
    rows = "1 0 0 {x} 0 1 0 0 0 0 1 0"
    lines = [f"{i} 40 1.25 0.5 0.5 0 0 {rows.format(x=-0.1 * i)}" for i in range(3)]
    (tmp_path / "video.txt").write_text("url\n" + "\n".join(lines) + "\n")
    (clean / "images").rename(tmp_path / "video")
    with pytest.raises(SceneError, match="'fx': is 40, but 'cx' and 'cy' lie within"):
        load_scene(tmp_path / "video.txt")


def test_an_angle_beside_shares_is_the_focal_length_of_it(bring, clean):
    def change(content, _):
        del content["fl_x"], content["fl_y"]
        content.update(MIDDLE, camera_angle_x=2 * math.atan(WIDTH / 2 / 40.0))

    same(bring(change), clean)
