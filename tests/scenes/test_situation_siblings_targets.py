"""More paths and targets as people bring them, of the kinds that other tools' users report."""

import json
import math

import numpy as np
import pytest
from brought import same
from photo_scenes import SIZE

from sphinx_framework.errors import SceneError

HEIGHT, WIDTH = SIZE
KEYS = ("fl_x", "fl_y", "cx", "cy", "w", "h")


def entries(frames, **more):
    return [{"camera_to_world": f["transform_matrix"], **more} for f in frames]


@pytest.mark.parametrize("more", [{}, {"aspect": 1.0}, {"seconds": 3.0, "fps": 24}])
def test_viewer_paths_of_other_versions_are_read(bring, clean, tmp_path, more):
    path = tmp_path / "camera_path.json"

    def change(content, _):
        angle = math.degrees(2 * math.atan(HEIGHT / 2 / 40.0))
        given = {
            "camera_type": "perspective",
            "render_width": WIDTH,
            "render_height": HEIGHT,
            "seconds": 2.0,
            "is_cycle": False,
            "keyframes": [{"matrix": "[1,0,0,0]", "fov": 50, "transition_sec": 2}],
            "camera_path": entries(content["frames"][1:-1], fov=angle, **more),
        }
        path.write_text(json.dumps(given))

    same(bring(change, targets=str(path)), clean)


def test_viewer_paths_may_name_one_angle_for_all(bring, clean, tmp_path):
    path = tmp_path / "camera_path.json"

    def change(content, _):
        angle = math.degrees(2 * math.atan(HEIGHT / 2 / 40.0))
        given = {"default_fov": angle, "camera_path": entries(content["frames"][1:-1])}
        path.write_text(json.dumps(given))

    same(bring(change, targets=str(path)), clean)


@pytest.mark.parametrize("kind", ["equirectangular", "omnidirectional", "orthophoto", 7])
def test_viewer_paths_without_perspective_are_refused(bring, tmp_path, kind):
    path = tmp_path / "camera_path.json"

    def change(content, _):
        given = {"camera_type": kind, "camera_path": entries(content["frames"][1:-1], fov=40.0)}
        path.write_text(json.dumps(given))

    with pytest.raises(SceneError, match="camera_type"):
        bring(change, targets=str(path))


@pytest.mark.parametrize("rows", [3, 4])
@pytest.mark.parametrize("direction", ["opencv_c2w", "opencv_w2c", "opengl_w2c"])
@pytest.mark.parametrize("shared", [True, False])
def test_targets_of_a_named_convention_in_their_own_file(
    bring, clean, tmp_path, rows, direction, shared
):
    path = tmp_path / "path.json"
    flip = np.diag([1.0, -1, -1, 1])

    def other(matrix):
        pose = np.array(matrix) @ (flip if direction.startswith("opencv") else np.eye(4))
        return (np.linalg.inv(pose) if direction.endswith("w2c") else pose)[:rows].tolist()

    def change(content, _):
        for frame in content["frames"]:
            frame["transform_matrix"] = other(frame["transform_matrix"])
        given = {key: content[key] for key in KEYS}
        path.write_text(json.dumps({**given, "frames": content["frames"][1:-1]}))

    options = {"convention": direction, **({"targets": str(path)} if shared else {})}
    same(bring(change, **options), clean)


@pytest.mark.parametrize("scale", [0.25, 1.0, 3.0])
def test_a_similarity_as_applied_transform_is_undone(bring, clean, scale):
    move = np.diag([scale, scale, scale, 1.0]) @ np.array(
        [[0, 1, 0, 2], [-1, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1.0]]
    )

    def change(content, _):
        content["applied_transform"] = move.tolist()
        for frame in content["frames"]:
            pose = move @ np.array(frame["transform_matrix"])
            pose[:3, :3] /= scale
            frame["transform_matrix"] = pose.tolist()

    same(bring(change), clean)


def spin(frame, degrees):
    turn = math.radians(degrees)
    pose = np.array(frame["transform_matrix"])
    around = np.array(
        [
            [math.cos(turn), 0, math.sin(turn), 0],
            [0, 1, 0, 0],
            [-math.sin(turn), 0, math.cos(turn), 0],
            [0, 0, 0, 1],
        ]
    )
    frame["transform_matrix"] = (pose @ around).tolist()


@pytest.mark.parametrize("degrees", [120, 180, -150])
@pytest.mark.parametrize("place", ["scene", "file"])
def test_targets_that_look_elsewhere_are_refused_wherever_they_stand(
    bring, tmp_path, degrees, place
):
    path = tmp_path / "path.json"

    def change(content, _):
        if place == "scene":
            for frame in content["frames"][1:-1]:
                spin(frame, degrees)
            return
        frames = json.loads(json.dumps(content["frames"][1:-1]))
        for frame in frames:
            spin(frame, degrees)
        path.write_text(json.dumps({**{key: content[key] for key in KEYS}, "frames": frames}))

    with pytest.raises(SceneError, match="none of the 10 targets sees anything"):
        bring(change, **({} if place == "scene" else {"targets": str(path)}))


@pytest.mark.parametrize("missing", ["photo", "all target photos"])
def test_targets_without_photos_are_targets_still(bring, clean, missing):
    def change(_, folder):
        for index in [4] if missing == "photo" else range(1, 11):
            (folder / f"images/{index}.png").unlink()

    found = bring(change)
    same(found, clean)
    assert found.target_images is None
