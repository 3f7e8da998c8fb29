"""``--engine ray`` of what works on many scenes: the same results as on one machine."""

import json
import sys
from pathlib import Path

import pytest
from fake_reader import READER
from servers import FakeServer

pytest.importorskip("ray")
pytestmark = pytest.mark.ray
ONE_THREAD = ("--set", "engine.threads=1", "--device", "cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Commands with the pipeline of fakes; the server of the helper is not started."""
    made = FakeServer(tmp_path_factory.mktemp("scenes"))
    made.plugins.install("readers", READER)
    made.environment["SPHINX_FRAMEWORK_PLUGINS"] = "fakes,readers,klogic"
    made.config.write_text(made.config.read_text().replace("num_steps = 12", "num_steps = 4"))
    return made


def digest(folder: Path, pattern: str) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob(pattern))}


def both(run, tmp_path, *words):
    """The same command here and on a cluster; where each wrote."""
    places = []
    for engine in ("local", "ray"):
        out = tmp_path / engine
        ended = run.run(*words, *ONE_THREAD, "--engine", engine, "--out", out)
        assert ended.returncode == 0, ended.stderr
        places.append(out)
    return places


def test_scenes_are_rendered_to_the_same_frames(run, tmp_path):
    words = ("render", "--config", run.config, "--scenes", "fake:set/0-3")
    here, there = both(run, tmp_path, *words)
    assert digest(here, "frames/*.png") == digest(there, "frames/*.png") != {}
    again = run.run(*words, *ONE_THREAD, "--engine", "ray", "--out", there, "--json")
    assert {s["status"] for s in json.loads(again.stdout)["scenes"]} == {"skipped"}


def test_an_evaluation_has_the_same_figures_and_goes_on(run, tmp_path):
    words = (
        "evaluate", "--config", run.config, "--scenes", "fake:set/0-2", "--few-steps", "2",
        "--energy", "none",
    )  # fmt: skip

    def figures(out):
        records = [json.loads(p.read_text()) for p in sorted((out / "scenes").glob("*.json"))]
        return [
            {
                name: {k: v for k, v in system["values"].items() if "seconds" not in k}
                for name, system in record["systems"].items()
            }
            for record in records
        ]

    here, there = both(run, tmp_path, *words)
    assert figures(here) == figures(there) != []
    record = sorted((there / "scenes").glob("*.json"))[0]
    first = record.read_text()
    sorted((there / "scenes").glob("*.json"))[1].unlink()
    assert run.run(*words, *ONE_THREAD, "--engine", "ray", "--out", there).returncode == 0
    assert record.read_text() == first
    assert figures(here) == figures(there)


def test_a_calibration_fits_the_same_rules(run, tmp_path):
    words = (
        "calibrate", "--config", run.config, "--scenes", "fake:set/0-3", "--spacing", "4",
        "--min-samples", "2", "--min-scenes", "2", "--bins", "2", "--qualities", "0.9",
    )  # fmt: skip
    samples = []
    for engine in ("local", "ray"):
        out = tmp_path / f"{engine}.toml"
        ended = run.run(*words, *ONE_THREAD, "--engine", engine, "--out", out)
        assert ended.returncode == 0, ended.stderr
        samples.append(digest(out.with_suffix(".samples"), "fake*.json"))
    assert samples[0] == samples[1] != {}


def test_a_bad_scene_is_told_as_at_home(run, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "cameras.json").write_text("{")
    words = ("render", "--config", run.config, "--scenes", "fake:set/0", bad, *ONE_THREAD)
    ended = run.run(*words, "--engine", "ray", "--out", tmp_path / "out", "--json")
    assert ended.returncode == 1, ended.stderr
    told = {s["status"]: s for s in json.loads(ended.stdout)["scenes"]}
    assert "cameras.json" in told["failed"]["error"]
    assert "Traceback" not in ended.stderr
    assert sys.executable not in ended.stdout


def test_one_scene_is_no_work_for_a_cluster(run, tmp_path):
    ended = run.run(
        "render", "--config", run.config, "--scene", "fake:set/0", "--engine", "ray",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert ended.returncode == 2
    assert "--scenes" in ended.stderr
