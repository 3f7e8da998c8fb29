"""A path of nothing is the current folder to the file system; here it is an argument forgotten."""

import os

import pytest

from sphinx_framework.cli.empty import empty_argument
from sphinx_framework.config import load_cost
from sphinx_framework.errors import ConfigError, SceneError
from sphinx_framework.folders.folder import OutputFolder
from sphinx_framework.scenes.load import load_scene


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["render", "--scene", "", "--out", "out"], "--scene"),
        (["render", "--scene="], "--scene"),
        (["render", "--scenes", "a", "", "--out", "out"], "--scenes"),
        (["plan", "--config", "lite", "--cost", " "], "--cost"),
        (["import", "", "--out", "out"], "an argument of import"),
        (["submit", "--scene", "a", "--out", ""], "--out"),
        ([""], "the command"),
        (["plan", "--set", "mask.names="], None),
        (["plan", "--set=mask.names="], None),
        (["a-plugins-command", "--prefix", ""], None),
    ],
)
def test_whose_argument_is_empty(given, named):
    assert empty_argument(given) == named


@pytest.mark.parametrize("option", ["--scene", "--out", "--cost", "--targets", "--config"])
def test_an_empty_option_is_refused_by_name_and_the_current_folder_is_left_alone(
    command, option, tmp_path, monkeypatch
):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    ended = command.render(option, "")
    assert ended.code == 2
    assert f"{option} is empty" in ended.err
    assert os.listdir(here) == []


def test_empty_paths_in_python_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SceneError, match="the scene's path is empty"):
        load_scene("")
    with pytest.raises(ConfigError, match="path is empty"):
        OutputFolder("", option="path")
    with pytest.raises(ConfigError, match="the cost table's path is empty"):
        load_cost("")
