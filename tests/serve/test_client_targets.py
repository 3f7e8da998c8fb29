"""``submit --targets FILE`` asks for the cameras of ``render --targets FILE``, or refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from answering import client_of
from photo_scenes import transforms, write_photo_scene
from scene_folders import opengl, random_poses

import sphinx_framework as sf
from sphinx_framework.client.matrices import Affine, world_from_camera
from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.readers import read_scene
from sphinx_framework.serve.requests import parse_request

JOB = {"id": "job_x", "status": "queued"}
POSES = opengl(random_poses(3, seed=5))
FRAMES = [{"transform_matrix": pose} for pose in POSES]
SHORT = [{"transform_matrix": pose[:3]} for pose in POSES]
FLAT = [{"transform_matrix": np.ravel(pose).tolist()} for pose in POSES]
SIZED = {"w": 80, "h": 60}
SHARES = {"fl_x": 0.9, "fl_y": 1.1, "cx": 0.5, "cy": 0.4}
MIXED = [[40, 0, 0.5], [0, 1, 0.5], [0, 0, 1]]
APPLIED = [[0, 2.0, 0, 0.1], [2.0, 0, 0, -0.3], [0, 0, -2.0, 1]]
PATH = {"render_width": 80, "render_height": 60, "default_fov": 50}
WAY = [{"camera_to_world": np.ravel(pose).tolist(), "fov": 40 + i} for i, pose in enumerate(POSES)]
FILES = {
    "poses alone": {"frames": FRAMES},
    "an angle": {"camera_angle_x": 1.6, **SIZED, "frames": FRAMES},
    "another angle": {"camera_angle_y": 1.2, **SIZED, "frames": FRAMES},
    "both angles": {"camera_angle_x": 1.6, "camera_angle_y": 1.2, **SIZED, "frames": FRAMES},
    "one focal length": {"fl_x": 40, **SIZED, "frames": FRAMES},
    "an angle and shares": {"camera_angle_x": 1.6, "cx": 0.5, "cy": 0.4, **SIZED, "frames": FRAMES},
    "distortion": {"fl_x": 40, "k1": 0.1, **SIZED, "frames": FRAMES},
    "another distortion": {"k1": 0.0, "frames": [{**f, "k1": 0.1} for f in FRAMES]},
    "a middle in shares": {"fl_y": 0.9, "cx": 0.5, "cy": 0.5, **SIZED, "frames": FRAMES},
    "no size": {"fl_x": 40, "fl_y": 41, "cx": 21, "cy": 15, "frames": FRAMES},
    "shares": {**SHARES, "frames": FRAMES},
    "shares and three rows": {**SHARES, "frames": SHORT},
    "three rows": {"frames": SHORT},
    "one row after the other": {"frames": FLAT},
    "frames of their own": {
        "frames": [{**frame, "fl_x": 30 + i, **SIZED} for i, frame in enumerate(FRAMES)]
    },
    "frames overridden": {"fl_x": 50, **SIZED, "frames": [{**f, "fl_x": 30} for f in FRAMES]},
    "a scale": {"applied_scale": 2, "frames": FRAMES},
    "a transform": {"applied_transform": APPLIED, "applied_scale": 0.5, "frames": FRAMES},
    "shares that were moved": {**SHARES, "applied_scale": 3, "frames": SHORT},
    "a path": {**PATH, "camera_path": WAY},
    "cameras": {
        "convention": "opengl_w2c",
        "targets": [
            {"pose": np.ravel(POSES[0]).tolist(), "file": "a.png"},
            {"pose": POSES[1], "intrinsics": [[40, 0, 20], [0, 41, 16], [0, 0, 1]]},
            {"pose": POSES[2][:3], "width": 80, "height": 60, "position": 3,
             "intrinsics": {"fx": 50, "fy": 51, "cx": 40, "cy": 30, "skew": 0}},
        ],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_photo_scene(tmp_path_factory.mktemp("scenes") / "scene")


@pytest.fixture
def file(tmp_path):
    def write(content) -> Path:
        (tmp_path / "targets.json").write_text(json.dumps(content))
        return tmp_path / "targets.json"

    return write


def submitted(monkeypatch, scene, file, **more):
    """What the server is asked for, checked as it checks it, and the job."""
    client, asked, _ = client_of([httpx.Response(202, json=JOB)], monkeypatch)
    job = client.submit(scene, targets=str(file), **more)
    found = re.search(rb'name="request"\r\n\r\n(.*?)\r\n--', asked[0].content, re.S)
    request = parse_request(asked[0].content if found is None else found[1])
    return request.target_cameras.model_dump_json(exclude_none=True), job


def assert_same(monkeypatch, scene, file, convention="auto", size=None):
    more = {} if convention == "auto" else {"convention": convention}
    sent, job = submitted(monkeypatch, scene, file, **more)
    told = file.with_name("told.json")
    told.write_text(sent)
    wanted = read_scene(scene, targets=str(file), convention=convention, size=size)
    served = read_scene(scene, targets=str(told), convention=convention, size=size).targets
    torch.testing.assert_close(served.intrinsics, wanted.targets.intrinsics)
    torch.testing.assert_close(served.world_from_camera, wanted.targets.world_from_camera)
    assert set(job.warnings) == {note for note in wanted.warnings if str(file) in note}


@pytest.mark.parametrize("size", [None, (16, 24)])
@pytest.mark.parametrize("name", FILES)
def test_the_cameras_are_those_of_render(monkeypatch, scene, file, name, size):
    assert_same(monkeypatch, scene, file(FILES[name]), size=size)


@pytest.mark.parametrize("convention", ["opengl_c2w", "opencv_w2c"])
@pytest.mark.parametrize("name", ["shares and three rows", "a transform", "a path"])
def test_so_they_are_in_a_convention_that_is_asked_for(monkeypatch, scene, file, name, convention):
    assert_same(monkeypatch, scene, file(FILES[name]), convention)


@pytest.mark.parametrize("own", [0, 1])
@pytest.mark.parametrize("name", ["poses alone", "a scale", "a path", "cameras"])
def test_so_they_are_where_the_scene_was_moved(monkeypatch, tmp_path, file, name, own):
    scene = write_photo_scene(tmp_path / "moved")
    content = {**transforms(), "applied_scale": 4}
    if name == "a path":
        content["applied_transform"] = [[0, 1, 0, 0.5], [-1, 0, 0, 0], [0, 0, 1, 2]]
    (scene / "transforms.json").write_text(json.dumps(content))
    targets = dict(FILES[name])
    if own and "frames" in targets:
        targets["frames"] = [*targets["frames"], content["frames"][2]]
    assert_same(monkeypatch, scene, file(targets))


def test_poses_of_the_moved_scene_before_it_was_moved_are_taken_as_they_are(
    monkeypatch, tmp_path, file
):
    scene = write_photo_scene(tmp_path / "moved")
    content = {**transforms(), "applied_scale": 4}
    (scene / "transforms.json").write_text(json.dumps(content))
    pose = np.array(content["frames"][2]["transform_matrix"])
    pose[:3, 3] /= 4
    assert_same(monkeypatch, scene, file({"frames": [{"transform_matrix": pose.tolist()}]}))


def test_what_the_viewer_moved_is_moved_back(monkeypatch, scene, file):
    path = file(FILES["a path"])
    moved = {"transform": [[0, 1, 0, 0.5], [-1, 0, 0, 0], [0, 0, 1, 2]], "scale": 0.25}
    path.with_name("dataparser_transforms.json").write_text(json.dumps(moved))
    assert_same(monkeypatch, scene, path)


def test_what_the_viewer_moved_in_a_moved_scene_is_moved_back_once(monkeypatch, tmp_path, file):
    scene = write_photo_scene(tmp_path / "moved")
    applied = [[0, 1, 0, 0.5], [-1, 0, 0, 0], [0, 0, 1, 2]]
    content = {**transforms(), "applied_transform": applied}
    (scene / "transforms.json").write_text(json.dumps(content))
    path = file(FILES["a path"])
    moved = {"transform": applied, "scale": 0.25}  # nerfstudio's holds the applied one
    path.with_name("dataparser_transforms.json").write_text(json.dumps(moved))
    assert_same(monkeypatch, scene, path)
    sent, job = submitted(monkeypatch, scene, path)
    plain = submitted(monkeypatch, "sha256:" + "0" * 64, path)
    assert (sent, job.warnings) == (plain[0], ())  # whatever the scene's own world is


@pytest.mark.parametrize("convention", ["opengl_c2w", "opencv_w2c"])
@pytest.mark.parametrize("name", ["cameras", "a transform"])
def test_a_file_that_says_its_own_convention_keeps_it(monkeypatch, scene, file, name, convention):
    path = file(FILES[name])
    plain = json.loads(submitted(monkeypatch, scene, path)[0])
    assert_same(monkeypatch, scene, path, convention)
    sent = json.loads(submitted(monkeypatch, scene, path, convention=convention)[0])
    assert sent["convention"] == convention
    home = [world_from_camera(Affine(c["pose"]), convention) for c in sent["targets"]]
    wanted = [world_from_camera(Affine(c["pose"]), "opencv_c2w") for c in plain["targets"]]
    np.testing.assert_allclose([p.rows for p in home], [p.rows for p in wanted], atol=1e-9)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"camera_angle_x": 1.6, "frames": FRAMES}, "without 'w' and 'h'"),
        ({"fl_x": 40, "frames": FRAMES}, "without 'w' and 'h'"),
        ({"w": 80, "h": 60, "frames": FRAMES}, "'fl_x' is missing"),
        ({"w": 80, "fl_x": 40, "frames": FRAMES}, "both 'w' and 'h'"),
        ({**SHARES, "fl_x": 40, "frames": FRAMES}, "'fl_x': is 40, but 'cx' and 'cy' lie within"),
        (
            {"convention": "opencv_c2w", "targets": [{"pose": POSES[0], "intrinsics": MIXED}]},
            "'fx': is 40, but 'cx' and 'cy' lie within",
        ),
        ({}, "'frames' as transforms.json has"),
        ({"is_fisheye": 1, "frames": FRAMES}, "'is_fisheye'"),
        (
            {
                "convention": "opencv_c2w",
                "targets": [
                    {"pose": POSES[0], "intrinsics": {"fx": 9, "fy": 9, "cx": 9, "cy": 9, "k1": 1}}
                ],
            },
            "'k1' is none of its keys",
        ),
        ({"frames": [{**FRAMES[0], "camera_model": "OPENCV_FISHEYE"}]}, "'camera_model'"),
        (
            {"convention": "opencv_c2w", "targets": [{"pose": POSES[0], "is_fisheye": True}]},
            "'is_fisheye'",
        ),
        ({"applied_scale": -1, "frames": FRAMES}, "'applied_scale': must be positive"),
        ({"camera_path": WAY}, "'render_width' and 'render_height' are missing"),
        ({**PATH, "camera_type": "fisheye", "camera_path": WAY}, "'camera_type'"),
        ({"keyframes": [{"time": 0, "input": 0}, {"time": 1, "input": 1}]}, "key frames"),
        ({"convention": "opencv_c2w", "targets": []}, "no cameras"),
        ({"frames": [{"transform_matrix": [[1, 0, 0, 0]]}]}, "must be a 4x4 or 3x4 matrix"),
        ({"targets": [{"pose": POSES[0]}]}, "'convention' is missing"),
    ],
)
def test_what_would_be_another_camera_is_refused(monkeypatch, scene, file, content, message):
    with pytest.raises(SceneError, match=message):
        submitted(monkeypatch, scene, file(content))


def test_a_file_may_end_in_capitals(monkeypatch, scene, file):
    path = file(FILES["cameras"])
    sent, _ = submitted(monkeypatch, scene, path.rename(path.with_name("TARGETS.JSON")))
    assert len(json.loads(sent)["targets"]) == 3


def test_in_the_world_of_an_earlier_scene_which_nobody_knows_only_cameras_are_sent(
    monkeypatch, file
):
    earlier = "sha256:" + "0" * 64
    with pytest.raises(SceneError, match="not known"):
        submitted(monkeypatch, earlier, file(FILES["poses alone"]))
    sent, _ = submitted(monkeypatch, earlier, file(FILES["cameras"]))
    assert len(json.loads(sent)["targets"]) == 3


def test_a_target_file_is_read_without_torch(file):
    program = (
        "import sys; from pathlib import Path\n"
        "from sphinx_framework.client.targets import target_cameras\n"
        f"target_cameras(Path({str(file(FILES['a transform']))!r}), 'auto', 'procedural:demo')\n"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(sf.__file__).parents[1])
