"""``calibrate``, ``evaluate`` and ``sweep`` from end to end on fakes."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest
from photo_scenes import write_photo_scene

NUMBERS = ("--qualities", "0.9", "--device", "cpu")


def calibrated(study, *more):
    given = ("--config", study.config, "--scenes", "fake:set/0-2", "--out", study.out / "mine.toml")
    few = ("--spacing", 2, "--steps", "1,every", "--min-samples", 3, "--min-scenes", 2, "--bins", 2)
    return study("calibrate", *given, *few, *NUMBERS, *more)


def evaluated(study, *more):
    given = ("--config", study.config, "--scenes", "fake:set/0-1", "--out", study.out)
    few = ("--few-steps", 2, "--modes", "fine", "--energy", "none")
    return study("evaluate", *given, *few, *NUMBERS, *more)


def swept(study, *more):
    given = ("--config", study.config, "--scenes", "fake:set/0", "--out", study.out)
    few = ("--few-steps", 2, "--modes", "fine", "--energy", "none")
    return study("sweep", *given, *few, *NUMBERS, *more)


def said_to_use(study):
    """The options that the command names for the rules that it wrote."""
    return re.search("use it with: (.*)", calibrated(study).out)[1].split()


def test_calibrated_rules_are_used_by_the_step_policy(study):
    ended = calibrated(study, "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert told["scenes"] == 3
    rules = tomllib.loads((study.out / "mine.toml").read_text())
    assert rules["provenance"]["dataset"] == "3 scenes: fake:set/0-2"
    assert told["samples"] in rules["provenance"]["notes"]
    assert {"0x4", "0x1", "4"} <= {point["plan"] for point in told["plans"]}
    assert told["held_out"] == []  # three scenes are fewer than folds
    report = json.loads(study.plan("--json", "--quality", 0.9, *said_to_use(study)).out)
    starts = {row[2] for table in rules["table"] for row in table["rows"]} | {0, 4}
    assert {frame["start_step"] for frame in report["frames"]} <= starts


def test_a_second_calibration_measures_nothing_and_fits_the_same(study):
    first = calibrated(study)
    written = (study.out / "mine.toml").read_text()
    second = calibrated(study)
    assert first.code == second.code == 0
    assert "goes on after 3 recorded scenes" in second.told
    assert (study.out / "mine.toml").read_text() == written
    changed = calibrated(study, "--set", "gamma=0.9")
    assert changed.code == 2
    assert "gamma: 0.5 then, 0.9 now" in changed.told


def test_progress_tells_the_remaining_time(study):
    ended = calibrated(study, "--seed", 1)
    assert "18 of 18 renders, about 0 s left" in ended.err
    assert "renders" not in ended.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--qualities", "0.9,high"), "expected numbers"),
        (("--qualities", "1.2"), "not in (0, 1]"),
        (("--qualities", "1"), "needs no rule"),
        (("--spacing", "0"), "--spacing 0"),
        (("--starts", "0,4"), "--starts 0,4"),
        (("--steps", "1,most"), "--steps 1,most"),
        (("--steps", "0"), "--steps 0"),
        (("--bins", "0"), "--bins 0"),
        (("--min-samples", "-1"), "--min-samples -1"),
        (("--confidence", "1"), "--confidence 1"),
        (("--scenes-met", "2"), "--scenes-met 2"),
        (("--clusters", "2", "--min-scenes", "4"), "cannot make 2 clusters"),
        (("--mode", "diffusion"), "--mode diffusion"),
        (("--seed", "-1"), "the seed must lie in 0..4294967295, got -1"),
        (("--seed", "4294967296"), "got 4294967296"),
        (("--scenes", "fake:set/0", "fake:set/0"), "named twice"),
        (("--scenes", "no/such/folder"), "no such scene folder"),
        (("--scenes", "fake:set/0", "--index", "no.json"), "no such folder"),
        (("--out", "."), "is a folder"),
    ],
)
def test_bad_input_of_calibrate_ends_before_anything_is_measured(study, arguments, told):
    ended = calibrated(study, *arguments)
    assert ended.code == 2
    assert told in ended.told
    assert not list(study.out.glob("*.samples/*.json"))


def test_an_evaluation_leaves_tables_figures_and_a_page(study):
    ended = evaluated(study, "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert told["scenes"] == ["fake:set/0", "fake:set/1"]
    assert list(told["systems"])[:5] == [
        "regression",
        "diffusion",
        "diffusion, 2 steps",
        "diffusion, other noise",
        "fine 0.9",
    ]
    assert all(len(system["scenes"]) == 2 for system in told["systems"].values())
    assert "LPIPS: not measured" in " ".join(told["notes"])
    assert "Energy: not measured" in " ".join(told["notes"])
    names = {path.name for path in study.out.iterdir()}
    assert {"table.md", "results.json", "index.html", "trade-off.svg", "start_steps.png"} <= names
    written = json.loads((study.out / "results.json").read_text())
    assert {**written, "out": str(study.out)} == told
    page = (study.out / "index.html").read_text()
    for part in ("The promise, checked", "at equal time", "Worst", "not measured", "num_steps"):
        assert part in page
    assert not re.search("https?:", page)  # in base64, pictures may say "http"
    text = evaluated(study)
    assert text.code == 0
    assert "goes on after" in text.err
    assert "| fine 0.9 |" in text.out


def test_chunks_with_an_evaluation_index_are_scenes(study, chunks, index):
    ended = calibrated(
        study, "--scenes", chunks, "--index", index, "--set", "size=[16, 16]", "--json"
    )
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["scenes"] == 2
    without = calibrated(study, "--scenes", chunks)
    assert without.code == 2
    assert "which one is not said" in without.told
    assert "--index" in without.told


def test_an_index_chooses_views_of_scene_folders(study, tmp_path):
    for name in ("a", "b"):
        write_photo_scene(tmp_path / "set" / name)
    views = tmp_path / "views.json"
    views.write_text(json.dumps({"b": {"context": [0, 4], "target": [2]}, "c": None}))
    ended = calibrated(study, "--scenes", tmp_path / "set", "--index", views, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["scenes"] == 1
    whole = calibrated(study, "--scenes", tmp_path / "set", "--json")
    assert json.loads(whole.out)["scenes"] == 2


def results_page():
    """The script that composes docs/results.md."""
    path = Path(__file__).parents[2] / "docs" / "make_results.py"
    spec = importlib.util.spec_from_file_location("make_results", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_results_page_states_every_claim_with_its_numbers(study):
    one = ("--scenes", "fake:set/0")
    assert evaluated(study, *one).code == 0
    assert calibrated(study).code == 0
    results = json.loads((study.out / "results.json").read_text())
    rules = tomllib.loads((study.out / "mine.toml").read_text())
    one, two = ({"psnr": [20.0, db], "ssim": [0.5]} for db in (22.0, 24.0))
    captures = [{"name": "room 4-10", "systems": {"regression": one, "result": two}}]
    photos = [{"size": [96, 128], "captures": captures}]
    text = results_page().compose(results, rules, photos=photos)
    assert "| 96x128 | regression | result |" in text
    assert "| mean | 21.00 / 0.5000 | 22.00 / 0.5000 |" in text
    assert "better than 'regression'" in text
    order = ["not met", "not measured", "met"]
    cells = [line.split("|")[2].strip() for line in text.splitlines() if line.count("|") == 4]
    states = [cell for cell in cells if cell in order]
    assert states == sorted(states, key=order.index)
    assert "| fine 0.95: at least 90% of scenes reach it | not measured |" in text
    assert "| selective is slower than fine" in text
    assert f"`{results['command']}`" in text
    assert "Not measured for any system: LPIPS" in text
    assert rules["provenance"]["notes"] in text


def test_an_evaluation_of_changed_settings_is_refused(study):
    quick = ("--scenes", "fake:set/0")
    assert evaluated(study, *quick).code == 0
    ended = evaluated(study, *quick, "--set", "plan.refresh_every=3")
    assert ended.code == 2
    assert "plan.refresh_every: 5 then, 3 now" in ended.told


def test_a_cost_table_lets_predictions_be_checked(study):
    cost = study.folder / "cost.toml"
    cost.write_text('[cost]\nfull = 1000.0\nmeasured = "a slow machine"\nnum_frames = 5\n')
    ended = evaluated(study, "--scenes", "fake:set/0", "--cost", cost, "--show", "fine 0.9")
    assert ended.code == 0, ended.err
    assert "0% of" in ended.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--modes", "fine,swift"), "'swift' is unknown"),
        (("--few-steps", "2.5"), "whole numbers"),
        (("--few-steps", "none"), "expected numbers"),
        (("--repeats", "0"), "--repeats 0"),
        (("--show", "fin 0.9"), "Did you mean 'fine 0.9'"),
        (("--energy", "volts"), "--energy volts"),
        (("--cost", "no.toml"), "no.toml"),
        (("--set", "diffusion.sed=1"), "unknown option 'sed'"),
        (("--scenes", "fake:set/3-1"), "the range is empty"),
    ],
)
def test_bad_input_of_evaluate_ends_before_anything_is_measured(study, arguments, told):
    ended = evaluated(study, *arguments)
    assert ended.code == 2
    assert told in ended.told
    assert not list(study.out.glob("scenes/*"))


def test_a_sweep_marks_the_pareto_front_over_all_factors(study):
    ended = swept(study, "--refresh", "2,3", "--vary", "mask.seed=0,1", "--json")
    assert ended.code == 0, ended.err
    systems = json.loads(ended.out)["systems"]
    combinations = [name for name, system in systems.items() if system["mode"] == "fine"]
    assert combinations == [
        f"fine 0.9, mask.seed {seed}, plan.refresh_every {period}"
        for seed in (0, 1)
        for period in (2, 3)
    ]
    front = [system for system in systems.values() if system["front"]]
    for system in systems.values():
        own = system["scenes"][0]
        assert system in front or any(
            best["scenes"][0]["seconds"] <= own["seconds"]
            and best["scenes"][0]["kept"] >= own["kept"]
            for best in front
        )
    assert (study.out / "effect_of_each_factor.png").exists()
    assert "Pareto front" in (study.out / "table.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--vary", "plan.refresh_every"), "expected KEY.PATH=VALUE"),
        (("--vary", "plan.refresh_every=3,"), "expected KEY.PATH=VALUE"),
        (("--vary", "plan.stride=1", "--vary", "plan.stride=2"), "varied twice"),
        (("--vary", "plan.strid=1"), "unknown key"),
        (("--vary", "quality=0.9,1"), "--qualities 0.9,1"),
        (("--vary", "plan.stride={a=1}"), "stride"),
        (("--vary", "mask.opacity=0.3"), "unknown option 'opacity'"),
        (("--refresh", "0"), "refresh_every"),
        (("--modes", "diffusion"), "needs coarse, fine or selective"),
        (("--vary", "mask.seed=" + ",".join(map(str, range(500)))), "the limit is 400"),
    ],
)
def test_bad_input_of_sweep_ends_before_anything_is_measured(study, arguments, told):
    ended = swept(study, *arguments)
    assert ended.code == 2
    assert told in ended.told
    assert not list(study.out.glob("scenes/*"))


def test_a_scene_that_is_none_is_told_before_another_is_rendered(study):
    given = ("--config", study.config, "--scenes", "fake:set/0", "nowhere", "--out", study.out)
    ended = study(
        "evaluate", *given, "--few-steps", 2, "--modes", "fine", "--energy", "none", *NUMBERS
    )
    assert ended.code == 2
    assert "nowhere: no such scene folder" in ended.told
    assert "renders" not in ended.err
