"""Camera moves by name: where they begin, where they lead, and what they refuse."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scene_folders import random_poses, transforms_scene, write_json

from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.pinhole import project
from sphinx_framework.scenes.presets import PRESETS, View, preset_options
from sphinx_framework.scenes.readers import read_scene
from sphinx_framework.scenes.targets import parse_targets
from sphinx_framework.types import Cameras

K = torch.tensor([[20.0, 0, 8], [0, 20, 8], [0, 0, 1]])
CLOSED = {"orbit", "spiral", "lemniscate", "roll"}


def cameras(poses):
    return Cameras(
        world_from_camera=poses.float(), intrinsics=K.repeat(len(poses), 1, 1), image_size=(16, 16)
    )


def ahead():
    """Two inputs at z = 0, half a unit apart, that look at (0, 0, 4)."""
    poses = torch.eye(4).repeat(2, 1, 1)
    for pose, x in zip(poses, (-0.25, 0.25), strict=True):
        angle = torch.atan2(torch.tensor(-x), torch.tensor(4.0))
        pose[0, 0] = pose[2, 2] = angle.cos()
        pose[0, 2], pose[2, 0] = angle.sin(), -angle.sin()
        pose[0, 3] = x
    return cameras(poses)


def made(spec, inputs=None):
    parsed = parse_targets(spec)
    view = View(inputs=ahead() if inputs is None else inputs, near=None, far=None)
    return PRESETS[parsed.kind].make(view, parsed.count, parsed.options)


def forward(path):
    return path.world_from_camera[:, :3, 2]


@given(st.sampled_from(sorted(PRESETS)), st.integers(1, 12), st.integers(1, 4), st.integers(0, 99))
def test_every_move_from_any_inputs_has_rigid_cameras_as_many_as_asked(name, count, inputs, seed):
    path = made(f"{name}:{count}", cameras(random_poses(inputs, seed)))
    path.validate("camera")
    assert len(path) == count
    assert path.image_size == (16, 16)


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"spiral", "lemniscate"}))
def test_a_move_begins_at_the_first_input(name):
    path = made(f"{name}:5")
    torch.testing.assert_close(
        path.world_from_camera[0], ahead().world_from_camera[0], rtol=0, atol=1e-5
    )
    torch.testing.assert_close(path.intrinsics[0], K)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_the_middle_of_a_longer_path_is_that_of_a_shorter_one(name):
    counts = (4, 8) if name in CLOSED else (5, 9)
    short, long = (made(f"{name}:{count}") for count in counts)
    torch.testing.assert_close(
        long.world_from_camera[::2], short.world_from_camera, rtol=0, atol=1e-5
    )
    torch.testing.assert_close(long.intrinsics[::2], short.intrinsics)


def test_dolly_moves_its_share_of_the_way_to_what_is_looked_at():
    focus = torch.tensor([0.0, 0.0, 4.0])
    start = (ahead().centres[0] - focus).norm()
    near, far = made("dolly-in:5:distance=0.5"), made("dolly-out:5:distance=0.5")
    assert float((near.centres[-1] - focus).norm() / start) == pytest.approx(0.5, abs=1e-3)
    assert float((far.centres[-1] - focus).norm() / start) == pytest.approx(1.5, abs=1e-3)
    torch.testing.assert_close(forward(near), forward(ahead())[:1].expand(5, 3))


@pytest.mark.parametrize("name", ["dolly-zoom-in", "dolly-zoom-out"])
def test_a_dolly_zoom_keeps_the_size_of_what_is_looked_at(name):
    path = made(f"{name}:6")
    right = torch.tensor([[0.0, 0.0, 4.0]]) + 0.3 * ahead().world_from_camera[0, None, :3, 0]
    left = torch.tensor([[0.0, 0.0, 4.0]]) - 0.3 * ahead().world_from_camera[0, None, :3, 0]
    places, _ = project(path, torch.cat([left, right]))
    sizes = (places[:, 1] - places[:, 0]).norm(dim=1)
    torch.testing.assert_close(sizes, sizes[:1].expand(6), rtol=1e-3, atol=0)
    assert float((path.centres[-1] - path.centres[0]).norm()) > 1


@pytest.mark.parametrize(
    ("spec", "axis", "sign"),
    [("truck:3", 0, 1), ("truck:3:-0.3", 0, -1), ("pedestal:3", 1, -1)],
)
def test_truck_goes_right_and_pedestal_up_without_turning(spec, axis, sign):
    path = made(spec)
    step = path.centres[-1] - path.centres[0]
    own = ahead().world_from_camera[0, :3, axis]
    assert float(step @ own) * sign == pytest.approx(float(step.norm()), rel=1e-4)
    torch.testing.assert_close(forward(path), forward(ahead())[:1].expand(3, 3))


def test_pan_looks_right_tilt_looks_up_roll_turns_clockwise_all_in_place():
    first = ahead().world_from_camera[0, :3, :3]
    pan, tilt, roll = made("pan:3:30"), made("tilt:3:30"), made("roll:4:360")
    assert float(forward(pan)[-1] @ first[:, 0]) == pytest.approx(0.5, abs=1e-5)
    assert float(forward(tilt)[-1] @ first[:, 1]) == pytest.approx(-0.5, abs=1e-5)
    quarter = roll.world_from_camera[1, :3, 0]
    torch.testing.assert_close(quarter, first[:, 1], rtol=0, atol=1e-5)
    for path in (pan, tilt, roll):
        torch.testing.assert_close(path.centres, ahead().centres[:1].expand(len(path), 3))


def test_zoom_changes_the_focal_lengths_alone():
    path = made("zoom-in:3:factor=4")
    torch.testing.assert_close(path.intrinsics[:, 0, 0], torch.tensor([20.0, 40.0, 80.0]))
    torch.testing.assert_close(path.intrinsics[:, :2, 2], K[None, :2, 2].expand(3, 2))
    assert float(made("zoom-out:3:factor=4").intrinsics[-1, 1, 1]) == pytest.approx(5)


def test_orbits_take_radius_degrees_and_loops():
    focus = torch.tensor([0.0, 0.0, 4.0])
    once, twice = made("orbit:8"), made("orbit:8:loops=2")
    torch.testing.assert_close(twice.world_from_camera[4], twice.world_from_camera[0])
    torch.testing.assert_close(twice.centres[1], once.centres[2], rtol=0, atol=1e-5)
    wide = made("orbit:8:radius=2,degrees=90")
    distances = (wide.centres - focus).norm(dim=1)
    start = float((ahead().centres[0] - focus).norm())
    torch.testing.assert_close(distances, torch.full((8,), 2 * start), rtol=1e-4, atol=0)
    torch.testing.assert_close(made("orbit:4:90").centres, made("orbit:4:degrees=90").centres)


def test_a_lemniscate_crosses_its_middle_twice_and_looks_at_one_point():
    path = made("lemniscate:16:radius=0.2")
    assert float((path.centres[0] - path.centres[8]).norm()) < 1e-5
    width = path.centres[:, 0].max() - path.centres[:, 0].min()
    height = path.centres[:, 1].max() - path.centres[:, 1].min()
    assert float(width) == pytest.approx(0.2 * 4 * 2, rel=0.01)
    assert float(height) == pytest.approx(0.2 * 4, rel=0.01)
    places, _ = project(path, torch.tensor([[0.0, 0.0, 4.0]]))
    torch.testing.assert_close(places[:, 0], torch.full((16, 2), 8.0), rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("orbit:4:radus=2", "no option 'radus'"),
        ("orbit:4:radus=2", "Did you mean 'radius'"),
        ("orbit:4:radius=-1", "'-1' is not a radius from 0.01 to 100"),
        ("dolly-in:4:distance=1", "'1' is not a distance"),
        ("pan:4:degrees=nan", "'nan' is not an angle"),
        ("pan:4:0", "other than 0"),
        ("pan:4:degrees=", "'' is not an angle"),
        ("zoom-in:4:factor=1e99", "'1e99' is not a factor"),
        ("orbit:4:degrees=90,degrees=10", "'degrees' is set twice"),
        ("orbit:4:90,degrees=10", "'degrees' is set twice"),
        ("zoom-in:0", "no targets"),
        ("zoom:4", "Did you mean 'zoom-in'"),
        ("roll:1001", "1001 targets are more"),
    ],
)
def test_a_move_that_cannot_be_is_refused_in_words(spec, told):
    with pytest.raises(SceneError) as refused:
        parse_targets(spec)
    assert told in f"{refused.value.message} {refused.value.hint}"


@given(st.text(max_size=20))
def test_any_text_is_options_or_a_clear_refusal(text):
    try:
        values = preset_options("orbit", text, f"orbit:3:{text}")
    except SceneError:
        return
    assert set(values) == {"degrees", "radius", "loops"}


INPUTS = [{"time": 0, "input": 0}, {"time": 1, "input": 1}]


def keyed(tmp_path, content):
    transforms_scene(tmp_path / "scene", count=4)
    write_json(tmp_path / "keys.json", content)
    return read_scene(tmp_path / "scene", targets=str(tmp_path / "keys.json"))


def test_key_frames_are_passed_at_their_times(tmp_path):
    other = np.eye(4)
    other[:3, 3] = [0.2, -0.1, 0.3]
    scene = keyed(
        tmp_path,
        {
            "fps": 4,
            "convention": "opencv_c2w",
            "keyframes": [
                {"time": 1, "input": 0},
                {"time": 2, "pose": other.tolist()},
                {"time": 2.5, "input": 1},
            ],
        },
    )
    assert len(scene.targets) == 7
    for frame, pose in (
        (0, scene.inputs.world_from_camera[0]),
        (6, scene.inputs.world_from_camera[1]),
    ):
        torch.testing.assert_close(scene.targets.world_from_camera[frame], pose, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        scene.targets.world_from_camera[4], torch.from_numpy(other).float(), rtol=0, atol=1e-5
    )
    scene.targets.validate("key")


def test_a_loop_comes_back_smoothly(tmp_path):
    scene = keyed(
        tmp_path,
        {
            "fps": 30,
            "loop": True,
            "duration": 3,
            "keyframes": [{"time": 0, "input": 0}, {"time": 1, "input": 1}],
        },
    )
    centres = scene.targets.centres
    assert len(centres) == 90
    steps = (centres.roll(-1, 0) - centres).norm(dim=1)
    bends = (steps.roll(-1) - steps).abs()
    assert float(bends[-1]) < 0.1 * float(steps.max())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"keyframes": [{"time": 0, "input": 0}]}, "at least two"),
        ({"keyframes": [{"time": 0, "input": 0}, {"time": 0, "input": 1}]}, "does not come after"),
        ({"keyframes": [{"time": 0, "input": 0}, {"time": 1, "input": 9}]}, "'input': 9"),
        ({"keyframes": [{"time": 0, "input": 0}, {"time": 1, "input": 0.5}]}, "'input': 0.5"),
        ({"keyframes": [{"input": 0}, {"time": 1, "input": 0}]}, "'time'"),
        ({"keyframes": [{"time": 0, "input": 0}, {"time": 1e9, "input": 1}]}, "are not 1 to 1000"),
        (
            {"fps": -1, "keyframes": [{"time": 0, "input": 0}, {"time": 1, "input": 1}]},
            "are not 1 to 1000",
        ),
        (
            {"loop": True, "keyframes": [{"time": 0, "input": 0}, {"time": 1, "input": 1}]},
            "'duration'",
        ),
        ({"keyframes": [{"time": 0, "pose": [[1]]}, {"time": 1, "input": 1}]}, "convention"),
        ({"fps": 0, "keyframes": INPUTS}, "at 0 frames per second"),
        ({"loop": "false", "duration": 3, "keyframes": INPUTS}, "'loop': must be true or false"),
        ({"loop": 1, "duration": 3, "keyframes": INPUTS}, "'loop': must be true or false"),
        ({"keyframes": [{**INPUTS[0], "pose": [[1]]}, INPUTS[1]]}, "has 'input' and 'pose'"),
        (
            {"keyframes": [INPUTS[0], {**INPUTS[1], "intrinsics": {"fx": 1}}]},
            "keyframes[1]: has 'input' and 'intrinsics'",
        ),
    ],
)
def test_key_frames_that_cannot_be_are_refused_by_place(tmp_path, content, told):
    with pytest.raises(SceneError) as refused:
        keyed(tmp_path, content)
    assert told in f"{refused.value.message} {refused.value.hint}"
    assert "keys.json" in refused.value.message


def test_between_is_interpolate():
    assert parse_targets("between:5") == parse_targets("interpolate:5")


def test_the_example_in_the_readers_text_is_read(tmp_path):
    """The format that the documentation shows, comments aside."""
    content = {
        "fps": 12,
        "keyframes": [
            {"time": 0, "input": 0},
            {"time": 2, "pose": np.eye(4)[:3].tolist()},
            {"time": 3.5, "input": 1},
        ],
        "convention": "opencv_c2w",
        "loop": True,
        "duration": 5,
    }
    assert len(keyed(tmp_path, json.loads(json.dumps(content))).targets) == 60
