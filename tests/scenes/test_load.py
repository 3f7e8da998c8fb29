"""Opening scenes of installed formats."""

import pytest
import torch

from sphinx_framework.errors import SceneError
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.load import load_scene

READER = """
from pydantic import BaseModel

from sphinx_framework.plugin import ComponentSpec, hookimpl
from sphinx_framework.testing.fakes import fake_scene

@hookimpl
def sphinx_framework_components():
    return [
        ComponentSpec(
            kind="scene_reader", name="dice", factory=__name__ + ":Reader",
            config=__name__ + ":Options",
        )
    ]

class Options(BaseModel):
    targets: int = 3

class Reader:
    name = "dice"

    def __init__(self, options, device, parts):
        self.targets = options.targets

    def can_read(self, path):
        return str(path).startswith("procedural:dice")

    def read(self, path, **options):
        return fake_scene(self.targets, seed=len(str(path)))
"""


@pytest.fixture
def registry(plugin_folder):
    plugin_folder.install("dice", READER)
    return Registry.from_entry_points(plugin_folder.points())


def test_a_reader_of_a_plugin_opens_what_it_understands(registry):
    scene = load_scene("procedural:dice", registry=registry)
    assert scene.images.shape == (2, 3, 32, 32)
    assert len(scene.targets) == 3


def test_options_apply_to_scenes_of_plugins_too(registry):
    scene = load_scene("procedural:dice", registry=registry, size=(16, 24), targets="interpolate:7")
    assert scene.images.shape == (2, 3, 16, 24)
    assert len(scene.targets) == 7


def test_what_no_reader_understands_is_refused(registry):
    with pytest.raises(SceneError, match="no installed scene reader generates 'procedural:cards'"):
        load_scene("procedural:cards", registry=registry)


def test_a_path_that_does_not_exist_is_refused(tmp_path, registry):
    with pytest.raises(SceneError, match="no such scene folder"):
        load_scene(tmp_path / "nothing", registry=registry)


def test_a_folder_is_read_without_asking_any_plugin(photo_scene):
    scene = load_scene(photo_scene, registry=Registry.from_entry_points([]))
    assert scene.images.dtype == torch.float32
    assert (len(scene.inputs), len(scene.targets)) == (2, 3)
