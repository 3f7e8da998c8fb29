"""Opening scenes of installed formats."""

import pytest
import torch

from sphinx_framework.errors import JobError, SceneError
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


BROKEN_READERS = {
    "raises when it is built": "class Reader:\n    def __init__(self, *given): raise OSError('no')",
    "exits when it is asked": (
        "class Reader:\n    def __init__(self, *given): pass\n"
        "    def can_read(self, path): raise SystemExit(3)"
    ),
    "cannot be imported": "import no_such_package",
    "claims everything": (
        "class Reader:\n    def __init__(self, *given): pass\n"
        "    def can_read(self, path): return True\n"
        "    def read(self, path, **options): return 3"
    ),
}
OTHER = """
from sphinx_framework.plugin import ComponentSpec, hookimpl

@hookimpl
def sphinx_framework_components():
    return [ComponentSpec(kind="scene_reader", name="broken", factory="broken_reader:Reader")]
"""


@pytest.mark.parametrize("how", BROKEN_READERS)
def test_a_broken_reader_keeps_no_other_from_its_scenes(plugin_folder, how):
    plugin_folder.install("lite", READER, distribution="sphinx-framework-lite")
    plugin_folder.install("aaa", OTHER)
    (plugin_folder.path / "broken_reader.py").write_text(BROKEN_READERS[how])
    registry = Registry.from_entry_points(plugin_folder.points())
    assert len(load_scene("procedural:dice", registry=registry).targets) == 3


def test_a_reader_that_answers_with_no_scene_is_named(plugin_folder, tmp_path):
    plugin_folder.install("aaa", OTHER)
    (plugin_folder.path / "broken_reader.py").write_text(BROKEN_READERS["claims everything"])
    registry = Registry.from_entry_points(plugin_folder.points())
    with pytest.raises(
        JobError, match=r"'broken' \(sphinx-framework-aaa 1.2\) answered with a int"
    ):
        load_scene(tmp_path, registry=registry)
