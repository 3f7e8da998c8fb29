"""Naming many scenes at once."""

import pytest

from sphinx_framework.cli.scenes import scene_names
from sphinx_framework.errors import ConfigError, SceneError
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.load import is_unposed

NO_PLUGINS = Registry.from_entry_points([])


def names(*given):
    return scene_names([str(name) for name in given], NO_PLUGINS)


def test_a_range_of_generated_scenes_is_counted_out():
    assert names("procedural:report/8-11") == [f"procedural:report/{i}" for i in range(8, 12)]


def test_a_range_of_a_billion_is_refused_at_once():
    with pytest.raises(ConfigError, match="1000000000 scenes are more than"):
        scene_names(["procedural:report/0-999999999"], NO_PLUGINS)


def test_an_empty_range_is_refused():
    with pytest.raises(ConfigError, match="the range is empty"):
        names("procedural:report/8-7")


def test_a_folder_of_scenes_stands_for_the_scenes(tmp_path):
    for name, file in (("b", "transforms.json"), ("a", "transforms.json"), ("c", "cameras.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
    assert names(tmp_path) == [str(tmp_path / name) for name in "abc"]


def test_a_scene_stands_for_itself(photo_scene):
    assert names(photo_scene, "procedural:demo") == [str(photo_scene), "procedural:demo"]


def test_a_folder_without_scenes_is_refused(tmp_path):
    with pytest.raises(SceneError, match="holds no folder that is one"):
        names(tmp_path)


def test_folders_of_photos_without_cameras_are_scenes_for_who_takes_them(tmp_path):
    for name in ("a", "b", ".trash"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"")
    given = [str(tmp_path)]
    wanted = [str(tmp_path / name) for name in ("a", "b")]
    assert scene_names(given, NO_PLUGINS, also=is_unposed) == wanted
