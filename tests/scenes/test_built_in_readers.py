"""The core's formats are readers like those of plugins: discovered, listed, chosen, replaceable."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scene_formats import chunk, colmap_text

from sphinx_framework.cli.main import main
from sphinx_framework.errors import SceneError
from sphinx_framework.plugin import ComponentSpec
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.formats import FORMATS, TransformsReader, built_in
from sphinx_framework.scenes.load import installed_readers, load_scene
from sphinx_framework.scenes.plugin import sphinx_framework_components
from sphinx_framework.scenes.readers import read_capture
from sphinx_framework.testing.contracts import SceneReaderContract

NAMES = [reader.name for reader in FORMATS]


class TestContract(SceneReaderContract):
    @pytest.fixture(autouse=True)
    def _sample_scene(self, clean):
        self.sample = clean

    def make(self):
        return TransformsReader()


class Letters:
    """A third party's reader of ``letters.json`` folders; it tells its frames as ours do."""

    def __init__(self, options=None, device=None):
        pass

    def can_read(self, path):
        return (path / "letters.json").is_file()

    def capture(self, path, **options):
        (path / "letters.json").rename(path / "transforms.json")
        try:
            return TransformsReader().capture(path, **options)
        finally:
            (path / "transforms.json").rename(path / "letters.json")

    def read(self, path, **options):
        raise AssertionError("frames are told without loading all of them")


def track():
    """Cameras on a straight track."""
    poses = [np.eye(4) for _ in range(12)]
    for index, pose in enumerate(poses):
        pose[0, 3] = 0.1 * index
    return poses


def letters():
    return Registry.from_specs(
        [ComponentSpec(kind="scene_reader", name="letters", factory=f"{__name__}:Letters")]
    )


def test_every_format_is_declared_under_its_name_with_its_convention():
    specs = {spec.name: spec for spec in sphinx_framework_components()}
    assert list(specs) == NAMES
    for spec in specs.values():
        assert "poses:" in spec.summary
        assert FORMATS[NAMES.index(spec.name)].__name__ in spec.factory


@pytest.mark.parametrize("left", ["none", "-lite", "masks"])
def test_they_are_there_whatever_plugins_are(monkeypatch, left):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", left)
    assert set(Registry.from_entry_points().names("scene_reader")) >= set(NAMES)


def test_only_their_own_name_leaves_them_out(monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "-formats")
    registry = Registry.from_entry_points()
    assert not {*NAMES} & set(registry.names("scene_reader"))


def test_they_are_listed_and_described(capsys):
    assert main(["plugins", "--json"]) == 0
    plugins = json.loads(capsys.readouterr().out)["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == "formats"]
    assert (ours["distribution"], ours["status"]) == ("sphinx-framework", "ok")
    assert main(["describe", "colmap", "--kind", "scene_reader"]) == 0
    assert "opencv_w2c" in capsys.readouterr().out


def test_they_are_asked_first_and_by_the_installed_registry_too():
    names = [reader.name for reader in installed_readers(Registry.from_entry_points())]
    assert names[: len(NAMES)] == NAMES
    assert [reader.name for reader in installed_readers(letters())] == [*NAMES, "letters"]


def test_a_plugin_that_tells_frames_is_asked_for_existing_folders_and_has_the_same_rights(clean):
    (clean / "transforms.json").rename(clean / "letters.json")
    wanted = load_scene(clean, registry=letters(), targets="indices:3,5")
    assert wanted.order == (0, 11, 3, 5)
    capture = read_capture(clean, readers=installed_readers(letters()))
    assert len(capture.shots) == 12
    assert all(isinstance(shot.file, Path) for shot in capture.shots)


def test_an_answer_that_is_no_capture_is_the_plugins_fault(clean, monkeypatch):
    (clean / "transforms.json").rename(clean / "letters.json")
    monkeypatch.setattr(Letters, "capture", lambda self, path, **options: "frames")
    with pytest.raises(Exception, match=r"'letters'.*answered with a str, not a Capture"):
        load_scene(clean, registry=letters())


def test_a_convention_that_the_format_prescribes_cannot_be_changed_in_silence(clean):
    (clean / "transforms.json").unlink()
    colmap_text(clean, track())
    told = load_scene(clean, convention="opengl_c2w").warnings
    assert any("opencv_w2c; opengl_c2w is not applied" in warning for warning in told)
    with pytest.raises(SceneError, match="no splits"):
        load_scene(clean, split=3)


def test_a_chunk_scene_is_imported_with_its_frames_byte_for_byte(clean, tmp_path, capsys):
    place, _ = chunk(clean, track())
    assert main(["import", str(place), "--out", str(tmp_path / "out")]) == 0
    copied = [file.read_bytes() for file in sorted((tmp_path / "out/images").iterdir())]
    assert copied == [(clean / "images" / f"{i}.png").read_bytes() for i in range(12)]


def test_of_many_scenes_in_chunks_one_must_be_named(clean):
    place, _ = chunk(clean, track(), many=True)
    folder = str(place).rpartition(":")[0]
    with pytest.raises(SceneError, match=r"holds 2 scenes; which one is not said.*hall, room"):
        load_scene(folder)
    with pytest.raises(SceneError, match=r"no scene 'rom'. Did you mean 'room'"):
        load_scene(f"{folder}:rom")


@pytest.mark.parametrize("what", ["cameras", "images", "key"])
def test_a_chunk_without_its_parts_is_refused_by_name(clean, what):
    place, _ = chunk(clean, track())
    (scene,) = torch.load(place, weights_only=True)
    scene[what] = 7
    torch.save([scene], place)
    with pytest.raises(SceneError, match=r"000000\.torch|must be a tensor"):
        load_scene(f"{place}:room")


def test_no_reader_is_fooled_by_odd_paths():
    for odd in ("", "x" * 5000, "a:b", ":", "procedural:", "\udc80", "/dev/null", "/proc/self/mem"):
        for reader in built_in():
            assert reader.can_read(Path(odd)) is False
