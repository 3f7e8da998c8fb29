"""Scenes as people bring them: each is the clean scene again, or says what is wrong with it."""

import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from photo_scenes import SIZE, transforms, write_photo_scene
from PIL import Image

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.images import read_image
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.scenes.unposed import photo_files

HEIGHT, WIDTH = SIZE


@pytest.fixture
def clean(tmp_path):
    folder = write_photo_scene(tmp_path / "clean", count=12)
    (folder / "train_test_split_2.json").unlink()
    return folder


@pytest.fixture
def bring(tmp_path, clean):
    """A copy of the clean scene with its JSON changed."""

    def bring(change, **options):
        folder = tmp_path / f"brought{len(list(tmp_path.iterdir()))}"
        shutil.copytree(clean, folder)
        content = json.loads((folder / "transforms.json").read_text())
        content = change(content, folder) or content
        (folder / "transforms.json").write_text(json.dumps(content))
        return load_scene(folder, **options)

    return bring


def same(found, clean, pixels=True):
    wanted = load_scene(clean)
    for ours, theirs in ((found.inputs, wanted.inputs), (found.targets, wanted.targets)):
        assert torch.allclose(ours.world_from_camera, theirs.world_from_camera, atol=1e-5)
        assert torch.allclose(ours.intrinsics, theirs.intrinsics, atol=1e-4)
    assert not pixels or torch.equal(found.images, wanted.images)


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


def applied(content):
    """Write the poses in the world that an applied transform leads to."""
    move = np.array([[0, 0, 1, 0.5], [1, 0, 0, 0], [0, 1, 0, -2], [0, 0, 0, 1.0]])
    content["applied_transform"] = move[:3].tolist()
    for frame in content["frames"]:
        frame["transform_matrix"] = (move @ np.array(frame["transform_matrix"])).tolist()


@pytest.mark.parametrize("kind", ["cut", "new", "own", "undone"])
def test_a_path_stands_in_the_world_of_the_scene_file(bring, clean, tmp_path, kind):
    path = tmp_path / "path.json"

    def change(content, _):
        plain = json.loads(json.dumps(content["frames"][1:-1]))
        applied(content)
        frames = json.loads(json.dumps(content["frames"][1:-1]))
        written = {key: content[key] for key in ("fl_x", "fl_y", "cx", "cy", "w", "h")}
        if kind == "own":
            written["applied_transform"] = content["applied_transform"]
        if kind == "undone":
            frames = plain
        if kind == "new":
            for frame in frames:
                frame["transform_matrix"][0][3] += 0.001
        path.write_text(json.dumps({**written, "frames": frames}))

    found = bring(change, targets=str(path))
    wanted = load_scene(clean).targets.world_from_camera
    assert torch.allclose(found.targets.world_from_camera, wanted, atol=2e-3)
    assert any("applied_transform" in text for text in found.warnings) == (kind == "new")


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("moved", [True, False])
def test_a_path_of_nerfstudios_viewer(bring, clean, tmp_path, nested, moved):
    angle = math.degrees(2 * math.atan(HEIGHT / 2 / 40.0))
    path = tmp_path / "camera_path.json"
    world = np.array([[0, 1, 0, 0.2], [-1, 0, 0, 0], [0, 0, 1, 3], [0, 0, 0, 1.0]])

    def change(content, _):
        entries = []
        for frame in content["frames"][1:-1]:
            pose = np.array(frame["transform_matrix"])
            if moved:
                pose = world @ pose
                pose[:3, 3] *= 0.25
            matrix = pose.tolist() if nested else pose.flatten().tolist()
            entries.append({"camera_to_world": matrix, "fov": angle, "aspect": WIDTH / HEIGHT})
        size = {"render_width": 10 * WIDTH, "render_height": 10 * HEIGHT}
        path.write_text(json.dumps({"camera_type": "perspective", **size, "camera_path": entries}))
        if moved:
            told = {"transform": world[:3].tolist(), "scale": 0.25}
            (tmp_path / "dataparser_transforms.json").write_text(json.dumps(told))

    same(bring(change, targets=str(path)), clean)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"camera_type": "fisheye"}, "'camera_type'"),
        ({"camera_path": []}, "no targets"),
        ({"camera_path": [{"fov": 50}]}, r"camera_path\[0\].*'camera_to_world'"),
        ({"camera_path": [{"camera_to_world": [1.0] * 15, "fov": 50}]}, "'camera_to_world'"),
        ({"camera_path": [{"camera_to_world": np.eye(4).tolist(), "fov": 180}]}, "'fov'"),
        ({"camera_path": [{"camera_to_world": np.eye(4).tolist()}]}, "'fov'"),
        ({"render_width": 7}, "render_width"),
    ],
)
def test_a_path_that_cannot_be_is_refused_by_key(bring, tmp_path, change, told):
    path = tmp_path / "camera_path.json"
    good = {"camera_path": [{"camera_to_world": np.eye(4).tolist(), "fov": 50}]}
    path.write_text(json.dumps({**good, **change}))
    with pytest.raises(SceneError, match=told):
        bring(lambda c, _: None, targets=str(path))


def turn_back(frame):
    pose = np.array(frame["transform_matrix"])
    frame["transform_matrix"] = (pose @ np.diag([-1.0, 1, -1, 1])).tolist()


def test_targets_that_see_nothing_are_refused(bring):
    with pytest.raises(SceneError, match="none of the 10 targets sees anything"):
        bring(lambda c, _: [turn_back(frame) for frame in c["frames"][1:-1]] and None)


def test_some_targets_that_see_nothing_are_named(bring):
    found = bring(lambda c, _: turn_back(c["frames"][4]))
    assert "1 of 10 targets see nothing of what the inputs saw: 3" in found.warnings


def test_masks_that_are_not_used_are_told(bring):
    found = bring(lambda c, _: c["frames"][2].update(mask_path="masks/2.png"))
    assert any("'mask_path'" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cx": 100.0}, r"frames\[0\], 'cx', 'cy': the principal point"),
        ({"cy": -3.0}, "'cx', 'cy': the principal point"),
        ({"fl_x": 0.7}, "'fl_x': a focal length of 0.7 pixels"),
        ({"camera_angle_x": 3.2, "fl_x": None}, "'camera_angle_x'"),
        ({"is_fisheye": True}, "'is_fisheye'"),
        ({"camera_model": "OPENCV_FISHEYE"}, "OPENCV_FISHEYE"),
    ],
)
def test_intrinsics_that_cannot_be_are_refused_by_key(bring, change, told):
    with pytest.raises(SceneError, match=told):
        bring(lambda c, _: c.update(change))


def without_size(content):
    del content["w"], content["h"]
    content["cx"] = 2.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c, _: c["frames"][1].update(fl_x=41.0), "'fl_x' differ from the top level"),
        (lambda c, _: c.update(k1=0.2), "it moves a corner by up to"),
        (lambda c, _: without_size(c), "another size"),
    ],
)
def test_what_is_doubtful_is_told(bring, change, told):
    found = bring(change)
    assert any(told in warning for warning in found.warnings), found.warnings


def test_distortion_that_moves_nothing_is_not_worth_a_word(bring):
    assert bring(lambda c, _: c.update(k1=1e-6)).warnings == ()


def test_coordinates_that_lose_precision_are_told(bring):
    def change(content, _):
        for frame in content["frames"]:
            frame["transform_matrix"][1][3] += 5e6

    assert any("single precision" in warning for warning in bring(change).warnings)


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
