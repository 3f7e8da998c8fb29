"""An output folder of one kind is not replaced by results of another."""

from pathlib import Path

import pytest

from sphinx_framework.errors import ConfigError
from sphinx_framework.folders.folder import OutputFolder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_results_of_another_kind_are_not_replaced(tmp_path):
    place = tmp_path / "out"
    with OutputFolder(place, holds="a scene") as folder, folder.replacing() as new:
        (new / "photo").write_text("the only copy")
    before = contents(place)
    with pytest.raises(ConfigError, match="holds a scene, which rendered views would replace"):
        OutputFolder(place, holds="rendered views")
    assert contents(place) == before
    with OutputFolder(place, holds="a scene") as folder, folder.replacing() as new:
        (new / "photo").write_text("another")
    assert contents(place)["photo"] == b"another"


def test_a_render_does_not_replace_an_imported_scene(command):
    source = command("import", command.scene, "--out", command.out)
    assert source.code == 0, source.err
    before = contents(command.out)
    refused = command.render()
    assert refused.code == 2
    assert "holds a scene, which rendered views would replace" in refused.err
    assert contents(command.out) == before
