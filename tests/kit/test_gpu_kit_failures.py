"""A stage whose results are wrong is not complete."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "gpu"))

import checks
import graphs
import stage as kit
import walks

CPU = torch.device("cpu")


def complete(stage, tmp_path):
    return kit.run(stage, tmp_path, CPU, tiny=True)


@pytest.mark.parametrize(("code", "whole"), [(0, True), (1, False), (5, False)])
def test_tests_that_fail_or_are_none(tmp_path, monkeypatch, code, whole):
    ended = subprocess.CompletedProcess([], code, stdout="3 failed, 9 passed", stderr="")
    monkeypatch.setattr(checks.subprocess, "run", lambda *_, **__: ended)
    assert complete("gpu-tests", tmp_path) is whole


def test_no_pytest(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    assert not complete("gpu-tests", tmp_path)


@pytest.mark.parametrize("error", [0.5, float("nan")])
def test_a_law_that_is_broken(tmp_path, monkeypatch, error):
    errors = {"record": 0.0, "frames": error, "tiles": 0.0}
    monkeypatch.setattr(checks, "fresh_cache_errors", lambda *_, **__: errors)
    assert not complete("equivalence", tmp_path)


def test_other_colours_and_no_gsplat(tmp_path, monkeypatch):
    from types import SimpleNamespace

    from sphinx_framework.splatting import gaussians

    def render(made, cameras, *, near, backend):
        return SimpleNamespace(images=torch.full((1, 3, 4, 4), float(backend == "gsplat")))

    monkeypatch.setattr(gaussians, "render_gaussians", render)
    monkeypatch.setattr(checks, "find_spec", lambda _: object())
    assert not complete("splatting", tmp_path)
    rows = list(checks.splatting(CPU, tiny=True))
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    assert "outcome" in list(checks.splatting(CPU, tiny=True))[-1]
    assert rows[-1]["error"] == "other colours"


def test_a_walk_that_ends_in_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(walks, "answered", lambda road: [])
    plain = walks._loop

    def broken(subject, schedule):
        loop = plain(subject, schedule)
        loop.x = loop.x * float("nan")
        return loop

    monkeypatch.setattr(walks, "_loop", broken)
    assert not complete("walks-seva", tmp_path)


def test_replays_that_answer_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "MOST_APART", -1.0)
    assert not complete("graphs-seva", tmp_path)
