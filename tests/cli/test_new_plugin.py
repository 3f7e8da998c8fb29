"""A plugin that ``new-plugin`` writes passes the contract of its kind at once."""

import subprocess
import sys

import pytest

from sphinx_framework.cli.main import main
from sphinx_framework.plugin import KINDS

# Names that the templates use for something else, too.
TAKEN = [("network", "diffusion"), ("cameras", "poses"), ("coarse-views", "regression")]


@pytest.mark.parametrize(("name", "kind"), [*(("my-part", kind) for kind in KINDS), *TAKEN])
def test_a_new_plugin_of_every_kind_passes_its_contract(name, kind, tmp_path):
    out = tmp_path / "made"
    assert main(["new-plugin", name, "--kind", kind, "--out", str(out)]) == 0
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(out),
         "-c", str(out / "pyproject.toml"), str(out / "test_contract.py")],
        env={"PYTHONPATH": str(out / "src"), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, cwd=out,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-3000:]


def test_its_spec_is_found_where_its_modules_are(tmp_path, monkeypatch):
    from sphinx_framework.registry import Registry

    assert main(["new-plugin", "my-part", "--kind", "mask", "--out", str(tmp_path / "made")]) == 0
    monkeypatch.syspath_prepend(tmp_path / "made" / "src")
    from sphinx_framework_my_part.plugin import sphinx_framework_components

    registry = Registry.from_specs(sphinx_framework_components())
    assert registry.options("mask", "my-part", {"strength": 0.5}, "test").strength == 0.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["My_Part", "--kind", "mask"], "no plugin name"),
        (["my-part", "--kind", "masks"], "unknown"),
        (["my-part", "--kind", "mask", "--out", "."], "exists already"),
    ],
)
def test_what_cannot_be_written_is_refused(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something").touch()
    assert main(["new-plugin", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["something"]
