"""The kit for the day a GPU is there, rehearsed on the CPU at a tiny size.

Its figures are not looked at. Compiled stages trace for many seconds: their rehearsal has the mark
``compile``.
"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "gpu"))

import stage as kit
import tables
from whole_requests import REQUESTS

KIT = Path(kit.__file__).parent
CPU = torch.device("cpu")
TINY = ["--device", "cpu", "--tiny"]
# Stages that compile, and the one that starts a pytest of its own, are rehearsed apart.
QUICK = [name for name in kit.STAGES if name != "gpu-tests" and not name.startswith("compiled")]


def told(out: Path, stage: str):
    return json.loads((out / f"{stage}.json").read_text())


def runner(out: Path, *arguments: str):
    return subprocess.run(
        ["bash", str(KIT / "run.sh"), "--out", str(out), "--device", "cpu", "--tiny", *arguments],
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    out = tmp_path_factory.mktemp("kit")
    for stage in QUICK:
        assert kit.run(stage, out, CPU, tiny=True)
    return out


def test_every_quick_stage_leaves_complete_rows(rehearsed):
    for stage in QUICK:
        assert told(rehearsed, stage)["complete"]
        assert told(rehearsed, stage)["rows"]
    kinds = {row["kind"] for row in told(rehearsed, "steps-seva")["rows"]}
    assert kinds == {"full", "frames", "tiles"}
    for pair in ("seva", "viewcrafter"):
        asked = told(rehearsed, f"requests-{pair}")["rows"]
        assert [row["request"] for row in asked] == list(REQUESTS)
        assert all(row["seconds"] > row["denoise"] > 0 for row in asked)
        steps = {row["request"]: row["frame_steps"] for row in asked}
        assert steps["diffusion"] == 6 * 5  # steps, frames of the clip
        assert max(steps["fine"], steps["selective"]) < steps["diffusion"]
    replayed = told(rehearsed, "graphs-seva")["rows"]
    assert [row["frames"] for row in replayed] == [
        "1 of 5 frames",
        "2 of 5 frames",
        "3 of 5 frames",
    ]
    assert all(row["relative_error"] < 1e-5 for row in replayed)
    for row in told(rehearsed, "equivalence")["rows"]:
        assert max(row["record"], row["frames"], row["tiles"]) < 1e-4


def test_the_tables_hold_every_row_and_name_what_was_not_measured(rehearsed):
    text = tables.tables(rehearsed)
    assert text.startswith("### environment on cpu, tiny")
    for stage in QUICK:
        rows = told(rehearsed, stage)["rows"]
        part = text.split(f"### {stage} ")[1].split("###")[0]
        for row in rows:
            assert str(row.get("step", row.get("request", ""))) in part
    assert "| 3 of 5 frames |" in text
    assert "not measured" in text  # there is no meter of a GPU's memory here


def test_a_complete_stage_is_not_run_again_but_another_size_is(rehearsed, monkeypatch, capsys):
    monkeypatch.setitem(kit.STAGES, "equivalence", lambda device, tiny: iter([{"again": True}]))
    before = told(rehearsed, "equivalence")
    assert kit.run("equivalence", rehearsed, CPU, tiny=True)
    assert told(rehearsed, "equivalence") == before
    assert "is complete" in capsys.readouterr().out
    assert kit.run("equivalence", rehearsed, CPU, tiny=False)
    assert told(rehearsed, "equivalence")["rows"] == [{"again": True}]


def test_a_stage_that_fails_keeps_its_rows_and_says_why(tmp_path, monkeypatch):
    def failing(device, tiny):
        yield {"step": "full", "seconds": 1.0}
        raise RuntimeError("out of memory")

    monkeypatch.setitem(kit.STAGES, "steps-seva", failing)
    assert not kit.run("steps-seva", tmp_path, CPU, tiny=True)
    assert told(tmp_path, "steps-seva")["rows"] == [{"step": "full", "seconds": 1.0}]
    text = tables.tables(tmp_path)
    assert "(cut: not all rows)" in text
    assert "RuntimeError: out of memory" in text


def test_a_move_that_fails_does_not_cost_the_others(tmp_path, monkeypatch):
    plain, calls = kit.timed, []

    def sometimes(call, device):
        calls.append(call)
        if len(calls) == 2:
            raise RuntimeError("no kernel")
        return plain(call, device)

    monkeypatch.setattr(kit, "timed", sometimes)
    assert not kit.run("steps-seva", tmp_path, CPU, tiny=True)
    rows = told(tmp_path, "steps-seva")["rows"]
    assert [bool(row.get("error")) for row in rows] == [False, True, *[False] * 5]
    assert "RuntimeError: no kernel" in tables.tables(tmp_path)


def test_a_killed_stage_leaves_what_it_had_and_is_started_again(tmp_path):
    """A process of its own: it is killed as a time limit kills it."""
    process = subprocess.Popen(
        [sys.executable, str(KIT / "stage.py"), "steps-seva", "--out", str(tmp_path), *TINY],
        env=os.environ | {"PYTHONPATH": f"{KIT}:{KIT.parent}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert '"step": "full"' in process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    cut = told(tmp_path, "steps-seva")
    assert not cut["complete"]
    assert cut["rows"][0]["step"] == "full"
    assert kit.run("steps-seva", tmp_path, CPU, tiny=True)
    assert told(tmp_path, "steps-seva")["complete"]


def test_the_script_runs_the_stages_that_are_named_and_prints_the_tables(tmp_path):
    ended = runner(tmp_path, "--limit", "300", "--only", "environment")
    assert ended.returncode == 0, ended.stderr
    assert "== environment (at most 300 s)" in ended.stdout
    assert "### environment on cpu, tiny" in ended.stdout
    assert (tmp_path / "tables.md").read_text() in ended.stdout


def test_the_script_says_that_a_stage_was_cut(tmp_path):
    ended = runner(tmp_path, "--limit", "0.05", "--only", "environment")
    assert ended.returncode == 1
    assert "environment ended with 124" in ended.stderr


def test_the_script_refuses_what_it_does_not_know(tmp_path):
    assert runner(tmp_path, "--only", "steps-sevva").returncode == 2
    assert runner(tmp_path, "--fast").returncode == 2


def test_the_script_names_every_stage_and_their_limits_stay_below_nine_minutes():
    listed = re.search(r"^stages=\((.*?)\)", (KIT / "run.sh").read_text(), re.DOTALL | re.MULTILINE)
    assert listed is not None
    limits = dict(entry.split(":") for entry in listed[1].split())
    assert sorted(limits) == sorted(kit.STAGES)
    # Nine minutes, less what a cut stage may take to die and the tables to be printed.
    assert sum(map(int, limits.values())) <= 540 - 15


@pytest.mark.compile
@pytest.mark.parametrize("name", ["seva", "viewcrafter"])
def test_compiled_stages_rehearse(tmp_path, name):
    assert kit.run(f"compiled-{name}", tmp_path, CPU, tiny=True)


@pytest.mark.compile
def test_the_tests_of_the_day_are_found(tmp_path):
    assert kit.run("gpu-tests", tmp_path, CPU, tiny=True)
    assert "4/" in told(tmp_path, "gpu-tests")["rows"][0]["outcome"]
