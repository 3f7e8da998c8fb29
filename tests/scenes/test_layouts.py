"""Folders as other tools leave them: the clean scene in each layout is the clean scene again."""

import json
import shutil

import numpy as np
import pytest
import torch
from brought import same
from photo_scenes import SIZE
from PIL import Image
from scene_formats import ANGLE, PIXELS, chunk_scene, colmap_text, llff, re10k

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import is_unposed, load_scene

HEIGHT, WIDTH = SIZE


def told(found, *parts):
    """Whether one warning says all the parts."""
    return any(all(part in warning for part in parts) for warning in found.warnings)


@pytest.mark.parametrize(
    "place", ["", "sparse", "sparse/0", *(f"sparse/0/{n}.txt" for n in ("cameras", "images"))]
)
def test_a_colmap_model_may_be_named_at_any_level(brought, place):
    folder, poses, clean = brought
    same(load_scene(colmap_text(folder, poses) / place), clean)


@pytest.mark.parametrize(
    ("model", "photos"),
    [
        ("sparse/1", "images"),
        ("dense/sparse", "dense/images"),
        ("dense/0/sparse", "dense/0/images"),
        ("undistorted/sparse", "undistorted/images"),
        ("sparse/0", "input"),
        ("distorted/sparse/0", "input"),
        ("colmap/sparse/0", "images"),
    ],
)
def test_a_colmap_model_lies_where_its_tools_put_it(brought, model, photos):
    folder, poses, clean = brought
    colmap_text(folder, poses)
    (folder / "sparse/0").rename(folder / "model")
    (folder / "images").rename(folder / "photos")
    shutil.rmtree(folder / "sparse")
    for name, place in (("model", model), ("photos", photos)):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).rename(folder / place)
    same(load_scene(folder), clean)
    assert not is_unposed(folder)


def test_undistorted_photos_are_those_beside_their_model(brought):
    folder, poses, clean = brought
    colmap_text(folder, poses)
    (folder / "dense").mkdir()
    shutil.copytree(folder / "images", folder / "dense/images")
    shutil.move(folder / "sparse", folder / "dense/sparse")
    for photo in (folder / "images").iterdir():
        Image.new("RGB", (WIDTH, HEIGHT)).save(photo)  # of the same names, with distortion
    same(load_scene(folder), clean)


def test_a_capture_that_fell_into_several_models_is_told(brought):
    folder, poses, clean = brought
    colmap_text(folder, poses)
    shutil.copytree(folder / "sparse/0", folder / "sparse/1")
    found = load_scene(folder)
    same(found, clean)
    assert told(found, "sparse/0", "12 photos", "other models", "1")


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (colmap_text, "masks/{}.png.png"),
        (colmap_text, "images/dynamic_mask_{}.png"),
        (llff, "masks/{}.png"),
        (None, "masks/{}.png"),
        (None, "images/dynamic_mask_{}.png"),
    ],
)
def test_masks_that_no_key_names_are_told(brought, name, write):
    folder, poses, clean = brought
    (folder / "masks").mkdir()
    if write is None:
        shutil.copy(clean / "transforms.json", folder)
    else:
        write(folder, poses)
    for index in range(3):
        Image.new("L", (WIDTH, HEIGHT), 255).save(folder / name.format(index))
    found = load_scene(folder)
    same(found, clean)
    assert told(found, "masks of 3 photos are not used")


@pytest.mark.parametrize("layout", ["folder", "no url", "zeros", "milliseconds", "cameras"])
def test_camera_files_of_re10k_lie_as_their_tools_leave_them(brought, layout):
    folder, poses, clean = brought
    file = re10k(folder, poses)
    if layout == "no url":
        file.write_text(file.read_text().split("\n", 1)[1])
    if layout == "zeros":
        for photo in list((folder / "images").iterdir()):
            photo.rename(photo.with_name(f"{int(photo.stem):012d}.png"))
    if layout == "milliseconds":
        for photo in sorted((folder / "images").iterdir(), key=lambda p: int(p.stem)):
            photo.rename(photo.with_name(f"{int(photo.stem) // 1000}.png"))
    if layout == "cameras":
        (folder / "cameras/test").mkdir(parents=True)
        (folder / "frames/test").mkdir(parents=True)
        (folder / "images").rename(folder / "frames/test/room")
        file = file.rename(folder / "cameras/test/room.txt")
    same(load_scene(folder if layout == "folder" else file), clean)


def test_a_missing_frame_of_re10k_is_not_taken_from_another_time(brought):
    folder, poses, _ = brought
    file = re10k(folder, poses)  # times 0, 1000, ... 11000
    (folder / "images/2000.png").unlink()
    shutil.copy(folder / "images/3000.png", folder / "images/2.png")
    found = load_scene(file)
    assert len(found.targets) == 9
    assert told(found, "1 of 12 times have no frame")


@pytest.mark.parametrize("spell", ["{}.png", "{}", "./{}.png", "my%20photos/{}.png"])
def test_bare_and_quoted_names_are_found(brought, spell):
    folder, _, clean = brought
    content = json.loads((clean / "transforms.json").read_text())
    if "%20" in spell:
        (folder / "images").rename(folder / "my photos")
    for index, frame in enumerate(content["frames"]):
        frame["file_path"] = spell.format(index)
    (folder / "transforms.json").write_text(json.dumps(content))
    same(load_scene(folder), clean)


@pytest.mark.parametrize("scale", [3, 5, 10])
def test_smaller_copies_of_any_scale_are_found(brought, scale):
    folder, _, clean = brought
    content = json.loads((clean / "transforms.json").read_text())
    (folder / "images").rename(folder / f"images_{scale}")
    for key in PIXELS:
        content[key] *= scale
    (folder / "transforms.json").write_text(json.dumps(content))
    same(load_scene(folder), clean)


@pytest.mark.parametrize("named", ["/data/room/images/{}.png", "images/{}"])
@pytest.mark.parametrize("split", ["images/{}.png", "images\\{}.png", "/data/room/images/{}.png"])
def test_a_named_split_means_the_photos_that_its_names_lead_to(brought, named, split):
    folder, _, clean = brought
    content = json.loads((clean / "transforms.json").read_text())
    for index, frame in enumerate(content["frames"]):
        frame["file_path"] = named.format(index)
    content["train_filenames"] = [split.format(0), split.format(11)]
    content["test_filenames"] = [split.format(index) for index in range(1, 11)]
    (folder / "transforms.json").write_text(json.dumps(content))
    same(load_scene(folder), clean)


def test_a_file_of_frames_may_have_any_name(brought):
    folder, _, clean = brought
    shutil.copy(clean / "transforms.json", folder / "room.json")
    found = load_scene(folder / "room.json")
    same(found, clean)
    assert found.name == "room"


def test_validation_frames_of_blender_are_kept_beside_test_frames(brought):
    folder, _, clean = brought
    frames = json.loads((clean / "transforms.json").read_text())["frames"]
    parts = {"train": [frames[0], frames[-1]], "test": frames[1:-1], "val": frames[3:5]}
    for name, part in parts.items():
        (folder / f"transforms_{name}.json").write_text(json.dumps({**ANGLE, "frames": part}))
    same(load_scene(folder), clean)
    assert len(load_scene(folder, targets="indices:12,13").targets) == 2


@pytest.mark.parametrize("layout", ["blender", "one file"])
def test_cameras_without_their_photos_have_the_size_of_those_that_are_there(brought, layout):
    folder, _, clean = brought
    frames = json.loads((clean / "transforms.json").read_text())["frames"]
    for index in range(1, 11):
        (folder / f"images/{index}.png").unlink()
    parts = {"train": [frames[0], frames[-1]], "test": frames[1:-1]}
    for name, part in parts.items() if layout == "blender" else [("", frames)]:
        file = folder / f"transforms{name and '_'}{name}.json"
        file.write_text(json.dumps({**ANGLE, "frames": part}))
    same(load_scene(folder), clean)


def test_an_empty_folder_of_photos_gives_way_to_the_smaller_ones(brought):
    folder, poses, clean = brought
    llff(folder, poses)
    (folder / "images").rename(folder / "images_4")
    (folder / "images").mkdir()
    same(load_scene(folder), clean)


@pytest.mark.parametrize("rows", [3, 4])
def test_matrices_may_be_one_row_after_the_other(brought, rows):
    folder, _, clean = brought
    content = json.loads((clean / "transforms.json").read_text())
    for frame in content["frames"]:
        frame["transform_matrix"] = np.ravel(frame["transform_matrix"][:rows]).tolist()
    (folder / "transforms.json").write_text(json.dumps(content))
    same(load_scene(folder, convention="opengl_c2w"), clean)


def test_an_applied_scale_is_undone_with_depths_near_and_far(brought):
    folder, _, clean = brought
    content = json.loads((clean / "transforms.json").read_text())
    applied = np.array([[0.0, 1, 0, 2], [1, 0, 0, -1], [0, 0, -1, 3]])
    content |= {"applied_transform": applied.tolist(), "applied_scale": 0.25, "near": 1, "far": 9}
    for frame in content["frames"]:
        pose = np.vstack([applied, [0, 0, 0, 1]]) @ np.array(frame["transform_matrix"])
        pose[:3, 3] *= 0.25
        frame["transform_matrix"] = pose.tolist()
    (folder / "transforms.json").write_text(json.dumps(content))
    found = load_scene(folder)
    same(found, clean)
    assert (found.near, found.far) == pytest.approx((4, 36))
    content["applied_scale"] = 0
    (folder / "transforms.json").write_text(json.dumps(content))
    with pytest.raises(SceneError, match=r"transforms\.json, 'applied_scale'"):
        load_scene(folder)


def test_a_key_that_stands_twice_is_refused_by_name(brought):
    folder, _, clean = brought
    text = (clean / "transforms.json").read_text()
    (folder / "transforms.json").write_text('{"fl_x": 500, ' + text[1:])
    with pytest.raises(SceneError, match=r"transforms\.json: names 'fl_x' twice"):
        load_scene(folder)


def test_a_folder_of_scenes_is_refused_with_their_names(brought):
    folder, _, clean = brought
    shutil.copy(clean / "transforms.json", folder)
    (folder.parent / "outer").mkdir()
    folder.rename(folder.parent / "outer/room")
    with pytest.raises(SceneError, match="holds 1 folder that is one: room") as caught:
        load_scene(folder.parent / "outer")
    assert "--scenes" in caught.value.hint


def test_a_chunk_of_one_scene_needs_no_list(brought):
    folder, poses, clean = brought
    torch.save(chunk_scene(folder, poses, "room"), folder / "000000.torch")
    same(load_scene(folder / "000000.torch"), clean)
