"""A distribution that is damaged is named, whatever is wrong with it, and stops nobody else."""

import importlib
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from sphinx_framework.installed import forgiving_searches, installed_points
from sphinx_framework.plugin import ENTRY_POINT_GROUP
from sphinx_framework.registry import Registry

DAMAGED = {
    "bytes that are no text": (b"garbage\xff", "UnicodeDecodeError"),
    "a line without a value": (b"[sphinx_framework]\ngarbage\n", "cannot be read: "),
    "no group": (b"garbage\n", "begins with 'garbage', which is no [group]"),
    "a folder in its place": (None, "it is there, and no file that may be read"),
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution on the path: its entry points' bytes, ``None`` a folder; and METADATA."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(points, metadata=b"Name: pbad\nVersion: 0.1\n"):
        info = tmp_path / "pbad-0.1.dist-info"
        info.mkdir()
        if points is None:
            (info / "entry_points.txt").mkdir()
        else:
            (info / "entry_points.txt").write_bytes(points)
        if metadata is not None:
            (info / "METADATA").write_bytes(metadata)
        importlib.invalidate_caches()
        return tmp_path

    return write


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_distribution_is_named_and_the_others_are_there(install, how):
    before = Registry.from_entry_points()
    points, told = DAMAGED[how]
    folder = install(points)
    registry = Registry.from_entry_points()
    (broken,) = [plugin for plugin in registry.plugins if plugin.status == "broken"]
    assert (broken.origin, broken.name) == ("pbad 0.1", "pbad")
    assert str(folder) in broken.reason
    assert told in broken.reason
    assert [spec.name for spec in registry.specs] == [spec.name for spec in before.specs]


@pytest.mark.parametrize("metadata", [None, b"", b"Name: \xff\n", b"garbage"])
def test_a_plugin_whose_metadata_cannot_be_read_has_the_name_of_its_folder(install, metadata):
    folder = install(b"[sphinx_framework]\nbad = plain_plugin\n", metadata)
    (folder / "plain_plugin.py").write_text(
        "from sphinx_framework.plugin import ComponentSpec, hookimpl\n"
        "@hookimpl\n"
        "def sphinx_framework_components():\n"
        "    return [ComponentSpec(kind='mask', name='plain', factory='a:b')]\n"
    )
    plugins = {plugin.name: plugin for plugin in Registry.from_entry_points().plugins}
    assert plugins["bad"].status == "ok"
    assert plugins["bad"].origin == "pbad 0.1"
    assert {plugin.status for plugin in plugins.values()} == {"ok"}


def test_a_damaged_distribution_can_be_left_out(install, monkeypatch):
    install(b"\xff")
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "-pbad")
    statuses = {plugin.name: plugin.status for plugin in Registry.from_entry_points().plugins}
    assert statuses.pop("pbad") == "blocked"
    assert set(statuses.values()) == {"ok"}


def test_what_is_found_is_what_python_finds():
    found, damaged = installed_points(ENTRY_POINT_GROUP)
    assert not damaged
    assert set(found) == set(entry_points(group=ENTRY_POINT_GROUP))


def test_searches_of_other_libraries_go_on_in_our_block_and_are_as_ever_after_it(install):
    install(b"\xff")
    with forgiving_searches():
        found = set(entry_points(group=ENTRY_POINT_GROUP))
        assert set(installed_points(ENTRY_POINT_GROUP)[0]) == found
        assert [damaged.distribution for damaged in installed_points("any")[1]] == ["pbad"]
    with pytest.raises(UnicodeDecodeError):
        entry_points(group="torch.backends")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["plugins", "--verbose"], "pbad (pbad) is broken: "),
        (["render", "--config", "lite", "--scene", "absent", "--out", "o"], "error: absent: "),
        (["no-such-command"], "invalid choice: 'no-such-command'"),
    ],
)
def test_commands_go_on_although_the_libraries_under_them_would_stop_at_it(
    install, arguments, told
):
    code = (
        f"import sys; sys.path.insert(0, {str(install(bytes([255])))!r})\n"
        "from sphinx_framework.cli.program import program\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "sys.exit(program())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
