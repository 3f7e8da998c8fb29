"""COLMAP models as people have them: stray photos, stripped lines, cut files, names twice."""

import shutil

import pytest
from brought import same, told
from photo_scenes import SIZE
from PIL import Image
from scene_formats import colmap_text

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
