"""Every regression stage with every diffusion stage, without weights: it runs or says why not."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from sphinx_framework.registry import Registry
from sphinx_framework.testing.fakes import fake_scene

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return importlib.import_module("pairs")


def rows(page: str) -> dict[str, list[str]]:
    lines = [line for line in page.splitlines() if line.startswith("| ") and " + " in line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_every_pair_runs_its_tiles_on_two_photos(script, capsys) -> None:
    assert script.main(["--situations", "1"]) == 0
    told = rows(capsys.readouterr().out)
    registry = Registry.from_entry_points()
    pairs = [
        f"{r} + {d}"
        for r in sorted(registry.names("regression"))
        for d in sorted(registry.names("diffusion"))
        if script.has_settings("regression", r) and script.has_settings("diffusion", d)
    ]
    assert list(told) == pairs
    assert all(
        cell == "runs" or cell.startswith(("refused", "not run")) for (cell,) in told.values()
    )
    assert sum(cell == "runs" for (cell,) in told.values()) >= 12


def test_what_the_page_of_the_docs_says_is_of_stages_that_exist(script) -> None:
    told = rows((ROOT / "docs" / "pairs.md").read_text(encoding="utf-8"))
    registry = Registry.from_entry_points()
    assert len(told) >= 12
    for name, cells in told.items():
        regression, diffusion = name.split(" + ")
        assert regression in registry.names("regression")
        assert diffusion in registry.names("diffusion")
        assert len(cells) == len(script.SITUATIONS)
        assert not any(cell.startswith("FAILED") for cell in cells)


def test_a_failure_and_a_refusal_are_told_apart(script, monkeypatch, capsys) -> None:
    def broken(self, scene):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("sphinx_framework_efficient_lvsm.model.EfficientLVSM.predict", broken)
    asked = ["--regression", "efficient-lvsm", "--diffusion", "lite", "--situations", "0"]
    assert script.main(asked) == 1
    assert "1. FAILED: ZeroDivisionError: by zero" in capsys.readouterr().out
    monkeypatch.setattr(
        script, "SITUATIONS", (script.Situation("odd", lambda: fake_scene(1, 2, (50, 70))),)
    )
    assert script.main(asked) == 0
    assert "1. refused: 'lite' works on image sides" in capsys.readouterr().out
