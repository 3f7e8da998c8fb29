"""What is sent of a scene folder: all that ``render`` reads of it, under names a server takes."""

import os
import re

import httpx
import pytest
from answering import client_of
from photo_scenes import write_photo_scene
from scene_folders import save_gradient

from sphinx_framework.client.pack import packed
from sphinx_framework.errors import SceneError
from sphinx_framework.serve.archive_members import Limits
from sphinx_framework.serve.archives import unpack

JOB = {"id": "job_x", "status": "queued"}
LIMITS = Limits(entries=100, unpacked_bytes=1 << 20)
NAMES = {"transforms.json", "train_test_split_2.json", *(f"images/{i}.png" for i in range(5))}


@pytest.fixture
def scene(tmp_path):
    return write_photo_scene(tmp_path / "my scene")


@pytest.fixture
def sent(tmp_path):
    """What a server unpacks: the name of the top folder, and the files' names below it."""

    def sent(folder):
        with packed(folder) as file:
            (tmp_path / "sent.zip").write_bytes(file.read())
        top = unpack(tmp_path / "sent.zip", tmp_path / "sent", LIMITS)
        found = (tmp_path / "sent").rglob("*")
        return top, {p.relative_to(tmp_path / "sent").as_posix() for p in found if p.is_file()}

    return sent


def test_a_photo_older_than_zip_is_sent(scene, sent):
    os.utime(scene / "images/0.png", (0, 0))
    assert sent(scene) == ("my scene", NAMES)


def test_folders_behind_links_are_sent_and_loops_are_not(scene, tmp_path, sent):
    (scene / "images").rename(tmp_path / "elsewhere")
    (scene / "images").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(scene)
    (tmp_path / "elsewhere/self").symlink_to(tmp_path / "elsewhere")
    assert sent(scene) == ("my scene", NAMES)


def test_a_name_that_is_no_text_is_left_out(scene, sent):
    save_gradient(scene / "more/0.png", 8, 8)
    os.rename(scene / "more/0.png", os.fsencode(scene) + b"/more/\xff.png")
    os.rename(scene / "more", os.fsencode(scene) + b"/m\xfcre")
    save_gradient(scene / "1.png", 8, 8)
    os.rename(scene / "1.png", os.fsencode(scene) + b"/\xff.png")
    assert sent(scene) == ("my scene", NAMES)


def test_of_photos_alone_it_is_named(monkeypatch, tmp_path):
    save_gradient(tmp_path / "photos/0.png", 8, 8)
    os.rename(tmp_path / "photos/0.png", os.fsencode(tmp_path) + b"/photos/\xff.png")
    client, asked, _ = client_of([httpx.Response(202, json=JOB)], monkeypatch)
    with pytest.raises(SceneError, match=re.escape(r"photos/\udcff.png: its name is not UTF-8")):
        client.submit(tmp_path / "photos")
    assert asked == []


@pytest.mark.parametrize("name", ["s\\bs", ".hidden", "__MACOSX", "C:", "a\nb", "n" * 101, b"\xff"])
def test_a_folder_whose_name_a_server_refuses_is_sent_as_scene(scene, sent, name):
    place = os.fsdecode(os.path.join(os.fsencode(scene.parent), os.fsencode(name)))
    scene.rename(place)
    assert sent(scene.parent / place) == ("scene", NAMES)
