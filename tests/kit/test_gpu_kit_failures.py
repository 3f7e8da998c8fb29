"""A stage whose results are wrong is not complete."""

import json
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
import whole_requests
from full_size.subjects import SUBJECTS

from sphinx_framework.testing.pipeline import fake_engine

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


def test_a_walk_that_ends_in_nothing(monkeypatch):
    monkeypatch.setattr(walks, "answered", lambda road: [])
    plain = walks._loop

    def broken(subject, schedule):
        loop = plain(subject, schedule)
        loop.x = loop.x * float("nan")
        return loop

    subject = SUBJECTS["seva"](CPU, tiny=True).subject
    (whole,) = walks.walked("seva", subject, walks.COMPILED[1:], CPU)
    monkeypatch.setattr(walks, "_loop", broken)
    (row,) = walks.walked("seva", subject, walks.COMPILED[1:], CPU)
    assert (whole.get("error"), row["error"]) == (None, "NaN or infinity")


def test_a_request_that_fails_does_not_cost_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_requests, "_engine", lambda name, device, *, tiny: fake_engine())
    plain = whole_requests.measured

    def broken(engine, scene, mode, seed):
        if mode == "selective":
            raise RuntimeError("out of memory")
        return plain(engine, scene, mode, seed)

    monkeypatch.setattr(whole_requests, "measured", broken)
    assert not complete("requests-seva", tmp_path)
    rows = json.loads((tmp_path / "requests-seva.json").read_text())["rows"]
    failed = {row["request"]: row.get("error") for row in rows}
    assert failed.pop("selective") == "RuntimeError: out of memory"
    assert set(failed.values()) == {None}


@pytest.mark.parametrize("pair", whole_requests.PAIRS)
@pytest.mark.parametrize("tiny", [True, False])
def test_whole_requests_fetch_no_weights(pair, tiny):
    config, registry = whole_requests.settings(pair, tiny=tiny)
    named = {
        f"{role}.{name}": value
        for role, options in config.validate_options(registry, pair).items()
        for name, value in options.model_dump().items()
        if name in ("weights", "vae", "clip")
    }
    assert len(named) >= 3
    assert {value.removesuffix("-tiny") for value in named.values()} == {"random"}, named


def test_nothing_is_needed_that_is_not_on_the_list_of_wheels():
    """On a bare machine a module that the list forgot would end every stage."""
    script = Path(__file__).with_name("bare_machine.py")
    ended = subprocess.run(
        [sys.executable, str(script), "environment", "equivalence", "steps-seva"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]


def test_replays_that_answer_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "MOST_APART", -1.0)
    assert not complete("graphs-seva", tmp_path)
