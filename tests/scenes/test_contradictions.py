"""Files that say one thing twice, differently, and names that other systems take."""

import json
import math

import pytest
from brought import renamed, same, told
from photo_scenes import SIZE

from sphinx_framework.errors import SceneError

HEIGHT, WIDTH = SIZE


@pytest.mark.parametrize("named", ["IMAGES/{}.PNG", "Images/{}.png", "./iMAGES/{}.Png"])
def test_folders_may_be_spelt_with_other_capitals(bring, clean, named):
    found = bring(lambda c, _: renamed(c, named.format))
    same(found, clean)
    assert told(found, "spelt otherwise on disk")


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("where", ["top", "frame"])
def test_an_angle_that_contradicts_the_focal_length_is_told(bring, clean, axis, where):
    def change(content, angle):
        for place in [content] if where == "top" else content["frames"]:
            place[f"camera_angle_{axis}"] = angle

    side = WIDTH if axis == "x" else HEIGHT
    found = bring(lambda c, _: change(c, 2 * math.atan(side / 2 / 44.0)))
    same(found, clean)
    assert told(found, f"camera_angle_{axis}", "focal length of 44", f"'fl_{axis}' 40")
    found = bring(lambda c, _: change(c, math.degrees(2 * math.atan(WIDTH / 2 / 40.0))))
    assert told(found, f"camera_angle_{axis}", "no angle in radians")
    assert not bring(lambda c, _: change(c, 2 * math.atan(side / 2 / 40.0))).warnings


def test_one_photo_with_two_poses_is_told(bring, clean):
    def change(content, _):
        content["frames"][4]["file_path"] = content["frames"][3]["file_path"]

    assert told(bring(change), "frames[3] and frames[4] have the same photo", "3.png")

    def twice(content, _):
        content["frames"].append(dict(content["frames"][3]))

    assert not bring(twice).warnings


def test_a_mask_for_all_photos_is_told(bring, clean):
    found = bring(lambda c, _: c.update(mask_path="mask.png"))
    same(found, clean)
    assert told(found, "'mask_path'", "12 frames")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"test_filenames": [], "val_filenames": ["images/4.png"]}, "'test_filenames': is empty"),
        ({"val_filenames": []}, "'val_filenames': is empty"),
        ({}, "'train_filenames': has no 'test_filenames' beside it"),
    ],
)
def test_a_split_without_targets_is_named_by_file_and_key(bring, given, message):
    names = ["images/0.png", "images/11.png"]
    with pytest.raises(SceneError, match=rf"transforms\.json, {message}, so the scene has no targ"):
        bring(lambda c, _: c.update(train_filenames=names, **given))
    found = bring(lambda c, _: c.update(train_filenames=names, **given), targets="interpolate:2")
    assert len(found.targets) == 2


def test_a_split_file_without_targets_is_named(bring):
    def change(_, folder):
        split = {"train_ids": [0, 11], "test_ids": []}
        (folder / "train_test_split_2.json").write_text(json.dumps(split))

    with pytest.raises(SceneError, match=r"split_2\.json, 'test_ids': is empty, so the scene"):
        bring(change)
