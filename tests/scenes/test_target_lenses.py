"""The lens of a target is held to what those of photos are."""

import json

import numpy as np
import pytest
from photo_scenes import SIZE

from sphinx_framework.errors import SceneError

HEIGHT, WIDTH = SIZE
POSE = np.eye(4).tolist()
GOOD = {"fx": 40.0, "fy": 40.0, "cx": 20.0, "cy": 16.0}
SHORT = {"cx": "cx", "cy": "cy", "fl_x": "fx", "fl_y": "fy"}


@pytest.fixture
def with_targets(bring, tmp_path):
    def load(made, **options):
        def change(content, _):
            (tmp_path / "targets.json").write_text(json.dumps(made(content)))

        return bring(change, targets=str(tmp_path / "targets.json"), **options)

    return load


WRONG = [
    ({"cx": 120.0}, "the principal point"),
    ({"cy": -30.0}, "the principal point"),
    ({"fl_x": 0.5}, "a focal length of 0.5 pixels"),
]


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize(("change", "told"), WRONG)
def test_intrinsics_that_cannot_be_are_refused(with_targets, change, told, sized):
    def made(content):
        size = {} if sized else {"w": None, "h": None}
        return {**content, **size, **change}

    with pytest.raises(SceneError, match=rf"targets\.json, frames\[0\].*{told}"):
        with_targets(made)


@pytest.mark.parametrize("key", ["targets", "keyframes"])
@pytest.mark.parametrize(("change", "told"), WRONG)
def test_so_they_are_of_cameras_and_key_frames(with_targets, change, told, key):
    lens = {**GOOD, **{SHORT[name]: value for name, value in change.items()}}
    entries = [{"time": t, "pose": POSE, "intrinsics": k} for t, k in enumerate((GOOD, lens))]
    with pytest.raises(SceneError, match=rf"targets\.json, {key}\[1\].*{told}"):
        with_targets(lambda _: {"convention": "opencv_c2w", key: entries})


LENSES = [{"camera_model": "OPENCV_FISHEYE"}, {"is_fisheye": True}]


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("place", ["top", "frame", "targets", "keyframes"])
def test_lenses_that_are_no_pinhole_are_refused(with_targets, lens, place):
    def made(content):
        if place in ("targets", "keyframes"):
            entries = [{"time": t, "pose": POSE, **more} for t, more in enumerate(({}, lens))]
            return {"convention": "opencv_c2w", place: entries}
        if place == "top":
            return {**content, **lens}
        return {**content, "frames": [{**frame, **lens} for frame in content["frames"]]}

    with pytest.raises(SceneError, match=next(iter(lens))):
        with_targets(made)


@pytest.mark.parametrize("place", ["top", "frame"])
def test_distortion_that_is_not_rendered_is_told(with_targets, place):
    def made(content, k1):
        if place == "top":
            return {**content, "k1": k1}
        return {**content, "frames": [{**frame, "k1": k1} for frame in content["frames"]]}

    told = "the lens distortion of 12 targets is not rendered"
    assert any(told in text for text in with_targets(lambda c: made(c, 0.1)).warnings)
    assert not with_targets(lambda c: made(c, 0.0)).warnings


@pytest.mark.parametrize("key", ["frames", "targets", "keyframes"])
def test_a_middle_for_another_size_is_told(with_targets, key):
    def made(content):
        if key == "frames":
            return {**content, "w": None, "h": None, "cx": 2.0}
        lens = {**GOOD, "cx": 2.0}
        entries = [{"time": t, "pose": POSE, "intrinsics": lens} for t in (0, 1)]
        return {"convention": "opencv_c2w", key: entries}

    assert any("for another size" in text for text in with_targets(made).warnings)


def test_what_a_crop_moved_out_of_the_picture_is_lent_all_the_same(bring, tmp_path):
    def change(content, _):
        frames = [{"transform_matrix": f["transform_matrix"]} for f in content["frames"]]
        (tmp_path / "poses.json").write_text(json.dumps({"frames": frames}))
        content["cx"] = 2.0

    found = bring(change, targets=str(tmp_path / "poses.json"), size=(32, 16))
    assert float(found.targets.intrinsics[0, 0, 2]) < 0
