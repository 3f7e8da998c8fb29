"""Which convention counts for a file of targets: its own, where it says one, else the one asked."""

import json

import numpy as np
import pytest
import torch
from brought import same, told
from scene_formats import PIXELS, cameras, frames, transforms, written

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import load_scene

OURS = "opencv_w2c"
IDENTITY = np.eye(4)[:3].tolist()


@pytest.fixture
def scene(brought):
    """A scene that needs ``--convention opencv_w2c``, its poses, and the clean one."""
    folder, poses, clean = brought
    transforms(folder, poses, OURS)
    return folder, poses, clean


def loaded(folder, content, convention=OURS):
    (folder / "path.json").write_text(json.dumps(content))
    return load_scene(folder, targets=str(folder / "path.json"), convention=convention)


@pytest.mark.parametrize("own", ["opencv_c2w", "opengl_c2w", OURS])
def test_cameras_that_name_theirs_keep_it(scene, own):
    folder, poses, clean = scene
    targets = [{"pose": written(pose, own)} for pose in poses[1:-1]]
    same(loaded(folder, {"convention": own, "targets": targets}), clean)


def test_key_frames_that_name_theirs_keep_it(scene):
    folder, poses, _ = scene
    keys = [{"time": i, "pose": written(poses[i], "opencv_c2w")} for i in (0, 1)]
    found = loaded(folder, {"convention": "opencv_c2w", "fps": 1, "keyframes": keys})
    wanted = torch.tensor(np.array(poses[:2])).float()
    torch.testing.assert_close(found.targets.world_from_camera, wanted, rtol=0, atol=1e-5)


def test_the_cameras_of_a_result_keep_nerfstudios(scene):
    folder, poses, clean = scene
    content = {**PIXELS, "applied_transform": IDENTITY, "frames": frames(poses[1:-1])}
    found = loaded(folder, content)
    same(found, clean)
    assert told(found, "path.json: 'applied_transform'", "opengl_c2w", "not opencv_w2c")


@pytest.mark.parametrize("kind", ["transforms", "cameras", "keyframes"])
def test_what_says_nothing_is_read_as_asked(scene, kind):
    folder, poses, clean = scene
    content = {**PIXELS, "frames": frames(poses[1:-1], OURS)}
    if kind == "cameras":
        content = {"targets": [{"pose": written(pose, OURS)} for pose in poses[1:-1]]}
    if kind == "keyframes":
        keys = [{"time": i, "pose": written(pose, OURS)} for i, pose in enumerate(poses[1:-1])]
        content = {"fps": 1, "keyframes": keys}
    same(loaded(folder, content), clean)


def test_a_scene_that_says_another_is_refused(brought):
    folder, poses, _ = brought
    cameras(folder, poses, "opencv_c2w")
    with pytest.raises(SceneError, match="is 'opencv_c2w', but 'opencv_w2c' was asked for"):
        load_scene(folder, convention="opencv_w2c")
