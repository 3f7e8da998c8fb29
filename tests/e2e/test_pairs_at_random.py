"""Any stages on any scene, drawn by a seed; `python benchmarks/pairs_at_random.py` tries more."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
QUICK = ["--regression", "efficient-lvsm", "sharp", "splat-file", "--diffusion", "lite", "seva"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return importlib.import_module("pairs_at_random")


def test_quick_stages_run_or_are_refused_by_one_sentence(script, capsys) -> None:
    assert script.main(["--first", "19", "--count", "4", *QUICK]) == 0
    *cases, summary = capsys.readouterr().out.splitlines()
    assert summary == "4 cases, 0 unsound"
    told = [" refused: " in case for case in cases]
    assert set(told) == {True, False}, cases


def test_a_stage_that_breaks_is_told_with_its_case(script, capsys, monkeypatch) -> None:
    def broken(self, scene):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("sphinx_framework_splat_file.model.SplatFile.predict", broken)
    asked = ["--first", "18", "--count", "1", "--regression", "splat-file"]
    assert script.main([*asked, "--diffusion", "lite"]) == 1
    case, summary = capsys.readouterr().out.splitlines()
    assert "splat-file" in case
    assert "FAILED: ZeroDivisionError: by zero" in case
    assert summary == "1 cases, 1 unsound"
