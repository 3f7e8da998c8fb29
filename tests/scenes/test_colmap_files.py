"""COLMAP models as people have them: stray photos, stripped lines, cut files, names twice."""

import shutil

import pytest
from brought import same, told
from photo_scenes import SIZE
from PIL import Image
from scene_formats import colmap_text

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import load_scene

HEIGHT, WIDTH = SIZE


@pytest.fixture
def model(brought):
    """A scene's folder with a model, and the clean scene."""
    folder, poses, clean = brought
    return colmap_text(folder, poses), clean


def test_a_photo_in_the_root_gives_way_to_the_one_in_images(model):
    folder, clean = model
    for index in range(12):
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"{index}.png")
    same(load_scene(folder), clean)


def test_a_photo_that_is_in_the_root_alone_is_used_and_told(model):
    folder, clean = model
    shutil.move(folder / "images/0.png", folder / "0.png")
    found = load_scene(folder)
    same(found, clean)
    assert told(found, "0.png: is not in 'images'", "1 photo")


def test_photos_in_the_root_without_a_folder_of_photos_need_no_word(model):
    folder, clean = model
    for file in (folder / "images").iterdir():
        shutil.move(file, folder / file.name)
    (folder / "images").rmdir()
    found = load_scene(folder)
    same(found, clean)
    assert not told(found, "is not in")


@pytest.mark.parametrize("points", ["", "1.5 2 -1", "1.5 2 -1 3 4 17 5 6 -1 7 8 9"])
def test_every_image_has_two_lines_of_which_the_second_may_be_empty(model, points):
    folder, clean = model
    file = folder / "sparse/0/images.txt"
    file.write_text(file.read_text().replace("1.5 2 -1", points))
    same(load_scene(folder), clean)


@pytest.mark.parametrize("name", ["", "my photo ", "cam 1/"])
def test_images_whose_empty_lines_were_dropped_are_refused(model, name):
    folder, _ = model
    file = folder / "sparse/0/images.txt"
    lines = [line for line in file.read_text().splitlines() if line != "1.5 2 -1"]
    file.write_text("\n".join(lines).replace(" 7 ", f" 7 {name}"))
    wanted = rf"images\.txt: expected the points of image '{name}11\.png'.*two lines"
    with pytest.raises(SceneError, match=f"(?s){wanted}"):
        load_scene(folder)


POINTS = [f"{i} {0.1 * i} 0 {2 + 0.1 * i} 1 2 3 0.5 1 0" for i in range(20)]


def with_points(folder, lines):
    (folder / "sparse/0/points3D.txt").write_text("\n".join(lines))
    return load_scene(folder)


@pytest.mark.parametrize("last", ["20 0.5", "20 0.5 x 2 1 2 3 0.5", "20 nan 0 2 1 2 3 0.5"])
def test_points_that_cannot_be_read_are_told_and_the_scene_is_read(model, last):
    folder, clean = model
    found = with_points(folder, [*POINTS, last])
    same(found, clean)
    assert (found.near, found.far) == (None, None)
    assert told(found, "points3D.txt", "near and far are not known from it")


def test_points_give_near_and_far_and_none_give_nothing_to_say(model):
    folder, _ = model
    assert with_points(folder, POINTS).near == pytest.approx(1.7, abs=0.1)
    assert not told(with_points(folder, []), "points3D")


def test_only_line_ends_end_a_line(model):
    folder, clean = model
    (folder / "images/0.png").rename(folder / "images/0 a\u2028b.png")
    file = folder / "sparse/0/images.txt"
    file.write_bytes(
        file.read_text().replace(" 0.png", " 0 a\u2028b.png").replace("\n", "\r\n").encode()
    )
    same(load_scene(folder), clean)


def test_a_photo_with_two_poses_is_told(model):
    folder, _ = model
    file = folder / "sparse/0/images.txt"
    whole = file.read_text()
    file.write_text(whole + "\n" + "\n".join(whole.splitlines()[2:4]))
    assert not told(load_scene(folder), "twice")
    file.write_text(whole.replace(" 4.png", " 3.png"))
    assert told(load_scene(folder), "images.txt, image '3.png'", "twice with other poses")


def test_a_missing_photo_is_told_by_the_file_that_names_it(model):
    folder, _ = model
    (folder / "images/0.png").unlink()
    with pytest.raises(SceneError, match=r"(?s)images\.txt, image '0\.png'.*no such") as caught:
        load_scene(folder)
    assert "JSON" not in str(caught.value)
