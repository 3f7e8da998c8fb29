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


def test_every_stage_runs_its_tiles_on_two_photos_beside_two_others(script, capsys) -> None:
    """All pairs take minutes (`python benchmarks/pairs.py`); these meet every stage."""
    registry = Registry.from_entry_points()
    regressions, diffusions = (
        [name for name in sorted(registry.names(kind)) if script.has_settings(kind, name)]
        for kind in ("regression", "diffusion")
    )
    assert len(regressions) >= 7
    assert len(diffusions) >= 5
    for number, regression in enumerate(regressions):
        chosen = {diffusions[(number + offset) % len(diffusions)] for offset in (0, 2)}
        asked = ["--regression", regression, "--diffusion", *chosen, "--situations", "1"]
        assert script.main(asked) == 0
        told = rows(capsys.readouterr().out)
        assert set(told) == {f"{regression} + {diffusion}" for diffusion in chosen}
        assert all(cell == "runs" for (cell,) in told.values())


def test_what_the_page_of_the_docs_says_is_of_stages_that_exist(script) -> None:
    told = rows((ROOT / "docs" / "pairs.md").read_text(encoding="utf-8"))
    registry = Registry.from_entry_points()
    assert len(told) >= 35
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
