import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))


@pytest.fixture
def plugin_folder(tmp_path, monkeypatch):
    """A folder for temporary plugin distributions, importable during the test."""
    from distributions import PluginFolder

    folder = PluginFolder(tmp_path / "site")
    monkeypatch.syspath_prepend(folder.path)
    monkeypatch.delenv("SPHINX_FRAMEWORK_PLUGINS", raising=False)
    yield folder
    folder.forget()


@pytest.fixture
def photo_scene(tmp_path):
    """A folder with two input photos and three targets of 32x40 pixels."""
    from photo_scenes import write_photo_scene

    return write_photo_scene(tmp_path / "scene")


@pytest.fixture
def command(plugin_folder, photo_scene, tmp_path, monkeypatch, capsys):
    """The command line, with a plugin of fakes as the only one, a pipeline of it and a scene."""
    import structlog
    from commands import Command

    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes")
    yield Command(tmp_path, plugin_folder, photo_scene, capsys)
    structlog.reset_defaults()  # the command bound its logs to this test's stderr
