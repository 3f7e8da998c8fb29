"""A scene that changed on disk is noticed, however it is named and wherever its photos lie."""

import os

import pytest

from sphinx_framework.scenes.fingerprint import fingerprint


def photo(place, content="pixels"):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)


@pytest.fixture
def scene(tmp_path):
    photo(tmp_path / "scene/images/0.png")
    photo(tmp_path / "scene/transforms.json", "{}")
    return tmp_path / "scene"


@pytest.mark.parametrize("named", [".", "transforms.json"])
@pytest.mark.parametrize("change", ["content", "another", "gone"])
def test_photos_of_a_scene_count(scene, named, change):
    before = fingerprint(str(scene / named))
    assert fingerprint(str(scene / named)) == before != ""
    if change == "content":
        photo(scene / "images/0.png", "other pixels")
    elif change == "another":
        photo(scene / "images/1.png")
    else:
        (scene / "images/0.png").unlink()
    assert fingerprint(str(scene / named)) != before


def test_linked_folders_and_photos_count_by_what_they_lead_to(scene, tmp_path):
    photo(tmp_path / "elsewhere/1.png")
    (scene / "more").symlink_to(tmp_path / "elsewhere")
    (scene / "images/2.png").symlink_to(tmp_path / "elsewhere/1.png")
    (scene / "more/back").symlink_to(scene)  # a circle
    (scene / "images/lost.png").symlink_to(tmp_path / "nothing")
    before = fingerprint(str(scene))
    os.utime(tmp_path / "elsewhere/1.png", (1, 1))
    assert fingerprint(str(scene)) != before


def test_what_is_not_on_disk_has_none(tmp_path):
    assert fingerprint("procedural:demo") == ""
    assert fingerprint(str(tmp_path / "nothing")) == ""
    photo(tmp_path / "cameras.txt")
    assert fingerprint(f"{tmp_path}/cameras.txt:3") == fingerprint(f"{tmp_path}/cameras.txt") != ""
