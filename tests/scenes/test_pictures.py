"""Photos of a capture are read one at a time, and one that several frames name once."""

import json
import weakref

import pytest
import torch
from photo_scenes import transforms, write_photo_scene

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes import memory, pictures
from sphinx_framework.scenes.readers import read_scene

SMALL = (16, 20)


def folder_of(tmp_path, files, **more):
    """A scene whose frames name these files; the first two are inputs."""
    folder = write_photo_scene(tmp_path / "scene")
    written = transforms(len(files))
    for frame, file in zip(written["frames"], files, strict=True):
        frame["file_path"] = f"images/{file}.png"
    (folder / "transforms.json").write_text(json.dumps({**written, **more}))
    split = {"train_ids": [0, 1], "test_ids": list(range(2, len(files)))}
    (folder / "train_test_split_2.json").write_text(json.dumps(split))
    return folder


@pytest.fixture
def read(monkeypatch):
    """What was read, and that nothing before it was held any more."""
    original, photos = pictures.read_photo, []

    def reading(shot, file, max_pixels):
        assert not any(photo() is not None for _, photo in photos)
        image = original(shot, file, max_pixels)
        photos.append((file.name, weakref.ref(image)))
        return image

    monkeypatch.setattr(pictures, "read_photo", reading)
    return photos


def test_one_photo_is_held_in_full_at_a_time_and_a_shared_one_read_once(tmp_path, read):
    scene = read_scene(folder_of(tmp_path, [0, 1, *[2] * 40, 3]), size=SMALL)
    assert [name for name, _ in read] == ["0.png", "1.png", "2.png", "3.png"]
    assert scene.target_images.shape == (41, 3, *SMALL)
    alone = read_scene(folder_of(tmp_path / "alone", [0, 1, 2, 3]), size=SMALL)
    assert torch.equal(scene.target_images[-2:], alone.target_images)
    assert torch.equal(scene.target_images[0], alone.target_images[0])
    assert torch.equal(scene.images, alone.images)


def test_a_lens_is_undone_for_each_frame_that_names_the_photo(tmp_path, read):
    read_scene(folder_of(tmp_path, [0, 1, 2, 2], k1=0.01), size=SMALL)
    assert [name for name, _ in read] == ["0.png", "1.png", "2.png", "2.png"]


def test_photos_at_their_own_size_are_refused_where_they_do_not_fit_into_memory(
    tmp_path, read, monkeypatch
):
    folder = folder_of(tmp_path, [0, 1, *[2] * 40])
    monkeypatch.setattr(memory, "free_memory", lambda: 40 * 32 * 40 * 12)
    with pytest.raises(SceneError, match="42 pictures of it take"):
        read_scene(folder)
    assert not read
