"""Camera files of RealEstate10K that contradict themselves."""

import pytest
from brought import same, told
from scene_formats import re10k

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import load_scene


def test_a_time_with_two_poses_is_told(brought):
    folder, poses, _ = brought
    file = re10k(folder, poses)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines, lines[4]]))
    assert not told(load_scene(file), "twice")
    file.write_text("\n".join([*lines, " ".join([*lines[4].split()[:7], *lines[5].split()[7:]])]))
    assert told(load_scene(file), "line 5, and ", "line 14: the photo 3000.png", "other poses")


@pytest.mark.parametrize("title", ["", "https://example.org/video\n", "20190412\n", "\n"])
def test_a_file_may_begin_with_a_title(brought, title):
    folder, poses, clean = brought
    file = re10k(folder, poses)
    file.write_text(title + file.read_text().partition("\n")[2])
    same(load_scene(file), clean)


@pytest.mark.parametrize("broken", ["0 0.9 x", "0 0.9 0.9 0.5 0.5 0 0 1 0 0"])
def test_a_first_camera_that_is_broken_is_no_title(brought, broken):
    folder, poses, _ = brought
    file = re10k(folder, poses)
    file.write_text("\n".join([broken, *file.read_text().splitlines()[2:]]))
    with pytest.raises(SceneError, match=r"room\.txt, line 1: "):
        load_scene(file)


def test_a_folder_with_the_name_of_a_frame_is_none(brought):
    folder, poses, clean = brought
    file = re10k(folder, poses)
    (folder / "images/5000.jpg").mkdir()
    same(load_scene(file), clean)


def test_a_text_that_holds_no_cameras_is_not_said_to_lack_frames(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("to do\n")
    with pytest.raises(SceneError, match="holds no line of RealEstate10K's"):
        load_scene(file)
