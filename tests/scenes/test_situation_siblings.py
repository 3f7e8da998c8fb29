"""More scenes as people bring them, of the kinds that other tools' users report."""

import math
import shutil

import pytest
import torch
from brought import renamed, same, told
from photo_scenes import SIZE
from PIL import Image

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.scenes.unposed import photo_files, unused_note

HEIGHT, WIDTH = SIZE
ANGLE = 2 * math.atan(WIDTH / 2 / 40.0)
KEYS = ("fl_x", "fl_y", "cx", "cy", "w", "h")


@pytest.mark.parametrize(
    "spell",
    [
        r"\\server\share\room\images\{}.png",
        "file:///home/someone/room/images/{}.png",
        "~/room/images/{}.png",
        "/content/drive/My Drive/room/images/{}",
        "//nas/room//images/{}.png",
        r"C:\Users\someone\room\images\{}",
    ],
)
def test_absolute_names_of_other_machines_are_found_by_their_end(bring, clean, spell):
    found = bring(lambda c, _: renamed(c, spell.format))
    same(found, clean)
    assert told(found, "absolute file names")


@pytest.mark.parametrize("spell", ["./../other/{}.png", "/etc/{}.conf", r"..\..\{}.png"])
def test_names_of_nothing_are_refused_with_their_frame(bring, spell):
    with pytest.raises(SceneError, match=r"frames\[0\]"):
        bring(lambda c, _: renamed(c, spell.format))


@pytest.mark.parametrize("size", ["none", "own", "twice"])
@pytest.mark.parametrize("both", [True, False])
def test_angles_are_focal_lengths_at_any_stated_size(bring, clean, size, both):
    def change(content, _):
        for key in KEYS:
            del content[key]
        content["camera_angle_x"] = ANGLE
        if both:
            content["camera_angle_y"] = 2 * math.atan(HEIGHT / 2 / 40.0)
        if size != "none":
            scale = 2 if size == "twice" else 1
            content.update(w=scale * WIDTH, h=scale * HEIGHT)

    same(bring(change), clean)


@pytest.mark.parametrize("angle", [53.13, 3.15, 0.0, -0.9, "0.9", None, True])
def test_an_angle_that_is_none_is_refused_by_its_key(bring, angle):
    def change(content, _):
        for key in KEYS:
            del content[key]
        content["camera_angle_x"] = angle

    with pytest.raises(SceneError, match="camera_angle_x"):
        bring(change)


@pytest.mark.parametrize("kept", [("fl_x",), ("fl_y",), ("fl_x", "cx"), ("fl_y", "cy", "w", "h")])
@pytest.mark.parametrize("where", ["top", "frame"])
def test_one_focal_length_is_enough(bring, clean, kept, where):
    def change(content, _):
        values = {key: content.pop(key) for key in KEYS}
        for place in [content] if where == "top" else content["frames"]:
            place.update({key: values[key] for key in kept})

    same(bring(change), clean)


@pytest.mark.parametrize(
    ("ending", "orientation"),
    [("jpg", 3), ("webp", 7), ("tiff", 3), ("tiff", 6), ("tiff", 7), ("tiff", 8)],
)
def test_photos_of_every_format_are_taken_as_stored(bring, clean, ending, orientation):
    def stored(_, folder, exif=b""):
        for path in list((folder / "images").iterdir()):
            lossless = {"lossless": True} if ending == "webp" else {}
            image = Image.open(path)
            path.unlink()
            image.save(path.with_suffix(f".{ending}"), exif=exif, **lossless)
        renamed(_, f"images/{{}}.{ending}".format)

    exif = Image.Exif()
    exif[0x0112] = orientation
    found = bring(lambda c, folder: stored(c, folder, exif))
    plain = bring(stored)
    assert torch.equal(found.images, plain.images)
    assert torch.equal(found.images, load_scene(clean).images) == (ending != "jpg")
    assert told(found, f"EXIF orientation {orientation}", "12 photos")


def test_the_missing_focal_length_of_normalised_ones_is_of_square_pixels(bring, clean):
    def change(content, _):
        content.update(fl_x=40 / WIDTH, cx=0.5, cy=0.5)
        del content["fl_y"]

    same(bring(change), clean)


def test_one_turned_photo_among_others_is_told(bring, clean):
    def change(_, folder):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.open(folder / "images/4.png").save(folder / "images/4.png", exif=exif)

    found = bring(change)
    same(found, clean)
    assert told(found, "4.png: its EXIF orientation 6", "1 photo")


@pytest.mark.parametrize(
    ("named", "stored"),
    [
        ("images/{}", "images/{}.JPG"),
        ("images/v1.{}", "images/v1.{}.png"),
        ("./images/{}", "images/{}.webp"),
        ("images/{}.jpg", "images/{}.png"),
        ("images/{}.JPG", "images/{}.tiff"),
        ("images/{}.heic", "images/{}.png"),
    ],
)
def test_a_missing_or_another_ending_is_found(bring, clean, named, stored):
    def change(content, folder):
        for index in range(12):
            new = folder / stored.format(index)
            image = Image.open(folder / f"images/{index}.png")
            (folder / f"images/{index}.png").unlink()
            options = {"lossless": True} if new.suffix == ".webp" else {}
            image.save(new, format="PNG" if new.suffix == ".JPG" else None, **options)
        renamed(content, named.format)

    found = bring(change)
    same(found, clean)
    exact = named.endswith("{}")
    assert told(found, "other endings") != exact


def test_two_photos_with_other_endings_are_not_chosen_between(bring):
    def change(content, folder):
        for ending in ("png", "webp"):
            shutil.copy(folder / "images/0.png", folder / f"images/a.{ending}")
        content["frames"][0]["file_path"] = "images/a.jpg"

    with pytest.raises(SceneError, match=r"images/a\.jpg"):
        bring(change)


@pytest.mark.parametrize("order", ["reversed", "by text", "shuffled"])
def test_frames_in_odd_orders_are_those_of_the_names(bring, clean, order):
    def change(content, _):
        frames = content["frames"]
        if order == "reversed":
            frames.reverse()
        if order == "by text":
            frames.sort(key=lambda f: f["file_path"])
        if order == "shuffled":
            frames[:] = [frames[5 * i % 12] for i in range(12)]

    found = bring(change)
    same(found, clean)
    assert told(found, "another order")


@pytest.mark.parametrize("spell", ["images/r_{}.png", "images/IMG_20240101_1200{:02d}.png"])
def test_frames_are_sorted_by_the_numbers_of_their_names(bring, clean, spell):
    def change(content, folder):
        for index in range(12):
            (folder / f"images/{index}.png").rename(folder / spell.format(index))
        renamed(content, spell.format)
        content["frames"].reverse()

    same(bring(change), clean)


@pytest.mark.parametrize(
    "other", ["._a.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", "IMG_1.MOV", "a.txt", ".a.heic"]
)
def test_files_that_are_no_photos_are_left_alone(tmp_path, other):
    for name in ("a.jpg", "b.HEIF", "c.jpeg", other):
        (tmp_path / name).write_bytes(b"")
    assert [file.name for file in photo_files(tmp_path)] == ["a.jpg", "b.HEIF", "c.jpeg"]


@pytest.mark.parametrize(
    "others", [[], ["b.DNG"], ["a.avif", "c.gif"], [f"{i}.cr3" for i in range(9)]]
)
def test_pictures_that_are_not_read_are_told(tmp_path, others):
    for name in ("a.jpg", "b.jfif", "._a.dng", *others):
        (tmp_path / name).write_bytes(b"")
    files = photo_files(tmp_path)
    assert [file.name for file in files] == ["a.jpg", "b.jfif"]
    told = unused_note(files)
    assert bool(told) == bool(others)
    assert all(name in told for name in others[:6])
    assert not others or f"{len(others)} picture" in told


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("ending", ["png", "JPG", "webp"])
def test_smaller_copies_may_have_another_ending(bring, clean, scale, ending):
    def change(content, folder):
        place = folder / f"images_{scale}"
        place.mkdir()
        for index in range(12):
            image = Image.open(folder / f"images/{index}.png")
            options = {"lossless": True} if ending == "webp" else {"format": "PNG"}
            image.save(place / f"{index}.{ending}", **options)
        shutil.rmtree(folder / "images")
        renamed(content, "images/{}.jpg".format)
        for key in KEYS:
            content[key] *= scale

    found = bring(change)
    same(found, clean)
    assert told(found, f"images_{scale}")


def test_some_photos_only_as_smaller_copies_are_refused_or_the_same_cameras(bring, clean):
    def change(content, folder):
        (folder / "images_4").mkdir()
        for index in range(1, 11):
            (folder / f"images/{index}.png").rename(folder / f"images_4/{index}.png")

    found = bring(change)
    wanted = load_scene(clean)
    assert torch.allclose(found.targets.intrinsics, wanted.targets.intrinsics, atol=1e-4)


@pytest.mark.parametrize("key", ["mask_path", "depth_path"])
@pytest.mark.parametrize("frames", [[0], [11], [3, 4], range(12)])
def test_what_no_model_uses_of_any_frame_is_told(bring, key, frames):
    def change(content, _):
        for index in frames:
            content["frames"][index][key] = f"more/{index}.png"

    found = bring(change)
    assert told(found, f"'{key}'", f"{len(list(frames))} frame")
