"""Scenes as people bring them: each is the clean scene again, or says what is wrong with it."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from brought import same
from photo_scenes import SIZE, transforms
from PIL import Image

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.images import read_image
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.scenes.unposed import photo_files

HEIGHT, WIDTH = SIZE


def test_frames_in_any_order_are_those_of_the_names(bring, clean):
    found = bring(lambda c, _: c["frames"].sort(key=lambda f: f["file_path"][::-1]))
    same(found, clean)
    assert any("another order" in warning for warning in found.warnings)


@pytest.mark.parametrize("prefix", ["/data/set/scene/", "C:\\Users\\me\\scene\\", "D:/scene/"])
def test_absolute_names_are_found_by_their_end(bring, clean, prefix):
    def change(content, _):
        for frame in content["frames"]:
            frame["file_path"] = prefix + frame["file_path"]

    found = bring(change)
    same(found, clean)
    assert any("absolute file names" in warning for warning in found.warnings)


def test_absolute_names_inside_the_folder_are_right(bring, clean):
    def change(content, folder):
        for frame in content["frames"]:
            frame["file_path"] = str(folder / frame["file_path"])

    same(bring(change), clean)


@pytest.mark.parametrize("name", ["../clean/images/3.png", "/etc/hostname", "/x/../images/3.png"])
def test_names_never_lead_out_of_the_folder(bring, name):
    with pytest.raises(SceneError, match=r"frames\[3\].*leads out"):
        bring(lambda c, _: c["frames"][3].update(file_path=name))


@pytest.mark.parametrize(
    "spelling", ["./images/{}", "images\\{}.png", "images/{}", ".\\images\\{}"]
)
def test_endings_and_backslashes_are_understood(bring, clean, spelling):
    def change(content, _):
        for index, frame in enumerate(content["frames"]):
            frame["file_path"] = spelling.format(index)

    same(bring(change), clean)


@pytest.mark.parametrize(
    ("named", "stored"),
    [("{}.png", "{}.PNG"), ("{}.JPG", "{}.jpg"), ("\u00e9{}.png", "e\u0301{}.png")],
)
def test_capitals_and_accents_on_disk_may_be_others(bring, clean, named, stored):
    def change(content, folder):
        for index, frame in enumerate(content["frames"]):
            (folder / f"images/{index}.png").rename(folder / "images" / stored.format(index))
            frame["file_path"] = "images/" + named.format(index)

    found = bring(change)
    same(found, clean)
    assert any("spelt otherwise" in warning for warning in found.warnings)


@pytest.mark.parametrize("where", ["top", "frame"])
@pytest.mark.parametrize("sized", [True, False])
def test_a_field_of_view_is_a_focal_length(bring, clean, where, sized):
    angle = 2 * math.atan(WIDTH / 2 / 40.0)

    def change(content, _):
        for key in ("fl_x", "fl_y", "cx", "cy", *(() if sized else ("w", "h"))):
            del content[key]
        for place in [content] if where == "top" else content["frames"]:
            place["camera_angle_x"] = angle

    same(bring(change), clean)


@pytest.mark.parametrize("missing", [("fl_y",), ("cx", "cy"), ("fl_y", "cx", "cy", "w", "h")])
def test_what_follows_from_a_focal_length_may_be_missing(bring, clean, missing):
    same(bring(lambda c, _: [c.pop(key) for key in missing] and None), clean)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("sized", [True, False])
def test_smaller_copies_stand_for_photos_that_are_not_there(bring, clean, scale, sized):
    def change(content, folder):
        (folder / "images").rename(folder / f"images_{scale}")
        for key in ("fl_x", "fl_y", "cx", "cy", "w", "h"):
            content[key] *= scale
        if not sized:
            del content["w"], content["h"]

    found = bring(change)
    same(found, clean)
    assert any(f"images_{scale}" in warning for warning in found.warnings)


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_posed_photos_are_taken_as_stored(bring, clean, orientation):
    def change(_, folder):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for path in (folder / "images").iterdir():
            Image.open(path).save(path, exif=exif)

    found = bring(change)
    same(found, clean)
    assert any("EXIF orientation" in warning for warning in found.warnings)


def test_a_camera_for_the_turned_photo_is_refused_with_its_reason(bring):
    def change(content, folder):
        exif = Image.Exif()
        exif[0x0112] = 6
        for path in (folder / "images").iterdir():
            Image.open(path).save(path, exif=exif)
        content.update(w=HEIGHT, h=WIDTH, cx=HEIGHT / 2, cy=WIDTH / 2)

    with pytest.raises(SceneError, match="EXIF orientation 6"):
        bring(change)


@pytest.mark.parametrize("name", ["opengl_c2w", "opengl_w2c", "opencv_c2w", "opencv_w2c"])
@pytest.mark.parametrize("rows", [3, 4])
def test_every_convention_can_be_named(bring, clean, name, rows):
    def change(content, _):
        for index, frame in enumerate(content["frames"]):
            turn = math.radians(index)
            spin = np.eye(4)
            spin[:3, :3] = [
                [math.cos(turn), 0, math.sin(turn)],
                [0, 1, 0],
                [-math.sin(turn), 0, math.cos(turn)],
            ]
            pose = np.array(frame["transform_matrix"]) @ spin
            other = pose if name.startswith("opengl") else pose @ np.diag([1, -1, -1, 1])
            other = np.linalg.inv(other) if name.endswith("w2c") else other
            frame["transform_matrix"] = other[:rows].tolist()
            frame["turned"] = pose.tolist()

    found = bring(change, convention=name)

    def turned(content, _):
        change(content, None)
        for frame in content["frames"]:
            frame["transform_matrix"] = frame["turned"]

    wanted = bring(turned)
    assert torch.allclose(
        found.targets.world_from_camera, wanted.targets.world_from_camera, atol=1e-5
    )


@pytest.mark.parametrize("rows", [3, 4])
@pytest.mark.parametrize("value", ["none", "up", "vertical"])
def test_exports_of_seva_are_opengl_without_a_doubt(bring, clean, rows, value):
    def change(content, _):
        own = {
            "fl_x": 40 / WIDTH,
            "fl_y": 40 / HEIGHT,
            "cx": 0.5,
            "cy": 0.5,
            "w": WIDTH,
            "h": HEIGHT,
        }
        for frame in content["frames"]:
            frame |= own
            frame["transform_matrix"] = frame["transform_matrix"][:rows]
        return {"orientation_override": value, "frames": content["frames"]}

    found = bring(change)
    same(found, clean)
    assert found.warnings == ()


def test_blenders_pair_of_files_is_a_scene(tmp_path, clean):
    content = json.loads((clean / "transforms.json").read_text())
    (clean / "transforms.json").unlink()
    frames = content.pop("frames")
    for frame in frames:
        frame["file_path"] = f"./{frame['file_path'].removesuffix('.png')}"
    angle = {"camera_angle_x": 2 * math.atan(WIDTH / 2 / 40.0)}
    for name, part in (("train", frames[:3]), ("test", frames[3:]), ("val", frames[:1])):
        (clean / f"transforms_{name}.json").write_text(json.dumps({**angle, "frames": part}))
    found = load_scene(clean)
    assert (len(found.inputs), len(found.targets)) == (3, 9)
    assert found.inputs.intrinsics[0, 0, 0] == pytest.approx(40)


def test_named_frames_are_inputs_and_targets(bring):
    def change(content, _):
        names = [frame["file_path"] for frame in content["frames"]]
        content.update(train_filenames=names[::4], test_filenames=names[1::4])

    found = bring(change)
    assert found.order == (0, 4, 8, 1, 5, 9)
    with pytest.raises(SceneError, match=r"'train_filenames'.*images/none\.png"):
        bring(lambda c, _: c.update(train_filenames=["images/none.png"]))


def test_named_frames_are_found_however_their_names_are_spelt(bring):
    def change(content, _):
        names = [frame["file_path"] for frame in content["frames"]]
        spelt = [f"./{name}" for name in names[::4]]
        windows = [name.replace("/", "\\") for name in names[1::4]]
        content.update(train_filenames=spelt, val_filenames=windows)

    assert bring(change).order == (0, 4, 8, 1, 5, 9)


def test_a_phones_folder_is_read_in_natural_order_without_hidden_files(tmp_path):
    for name in ("b10.jpg", "b9.jpg", "B1.HEIC", "._b9.jpg", ".thumb.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [file.name for file in photo_files(tmp_path)] == ["B1.HEIC", "b9.jpg", "b10.jpg"]


def test_heic_is_read(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    photo = Image.fromarray(np.full((64, 48, 3), (200, 40, 90), np.uint8))
    heif.from_pillow(photo).save(tmp_path / "a.HEIC")
    image = read_image(tmp_path / "a.HEIC")
    assert image.shape == (3, 64, 48)
    assert torch.allclose(image.mean((1, 2)) * 255, torch.tensor([200.0, 40, 90]), atol=6)


def test_a_photo_beyond_the_limit_is_refused_from_its_header(tmp_path):
    path = tmp_path / "large.png"
    Image.new("1", (13000, 13000)).save(path)
    with pytest.raises(SceneError, match="13000x13000"):
        read_image(path)
    Image.new("L", (20, 20)).save(path)
    with pytest.raises(SceneError, match="the limit is 100 in all"):
        read_image(path, max_pixels=100)


def test_only_formats_of_photos_are_tried(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", format="GIF")
    with pytest.raises(SceneError, match="not of a known format"):
        read_image(tmp_path / "a.png")


def test_a_pipe_in_place_of_a_photo_does_not_hang(bring):
    def change(_, folder):
        (folder / "images/0.png").unlink()
        os.mkfifo(folder / "images/0.png")

    with pytest.raises(SceneError, match="pipe"):
        bring(change)


@pytest.mark.parametrize("name", ["images/\ud800.png", "images/" + "x" * 300, "images/\0.png"])
def test_strange_names_are_errors_that_every_encoding_can_tell(bring, name):
    with pytest.raises(SceneError) as caught:
        bring(lambda c, _: c["frames"][0].update(file_path=name))
    str(caught.value).encode("utf-8")


def test_the_reference_is_what_it_was(clean):
    assert len(load_scene(clean).targets) == 10
    assert len(transforms(12)["frames"]) == 12
    assert Path(clean, "images/11.png").exists()
