"""``plan`` stops before diffusion and says what would be done."""

import json

import pytest


def planned(command, *more):
    ended = command.plan("--json", *more)
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def test_the_plan_lists_every_target_and_the_schedule(command):
    data = planned(command, "--mode", "fine")
    assert [frame["index"] for frame in data["frames"]] == [0, 1, 2]
    assert {"score", "reference", "ratio", "start_step", "mask_fraction"} <= data["frames"][
        0
    ].keys()
    assert data["schedule"].startswith(("F", "D", "("))
    assert data["frame_steps_dense"] == 12 * 5
    assert data["frame_steps"] <= data["frame_steps_dense"]
    assert data["licences"][0]["role"] == "regression"


def test_the_plan_is_what_a_render_then_does(command):
    data = planned(command, "--mode", "selective")
    command.render("--mode", "selective")
    report = json.loads((command.out / "report.json").read_text())
    assert report["schedule"] == data["schedule"]
    assert [f["start_step"] for f in report["frames"]] == [f["start_step"] for f in data["frames"]]


def test_a_plan_writes_nothing(command):
    planned(command)
    assert not command.out.exists()


def test_the_text_shows_schedule_prediction_and_licences(command):
    told = command.plan("--mode", "diffusion").told
    assert "D0 D1 D2" in told
    assert "no prediction (cost model: assumed, not measured)" in told
    assert "diffusion: fake (sphinx-framework-fakes 1.2), licence Apache-2.0" in told


def test_a_measured_cost_predicts(command):
    cost = command.folder / "cost.toml"
    cost.write_text('[cost]\nfull = 2.0\nmeasured = "a bench"\nnum_frames = 5\n')
    data = planned(command, "--mode", "diffusion", "--cost", cost)
    assert data["predicted_denoise_seconds"] == pytest.approx(24.0)


def test_quality_and_mode_are_those_asked_for_or_the_pipelines(command):
    assert planned(command)["quality_target"] == 0.9
    data = planned(command, "--quality", 0.7, "--mode", "coarse")
    assert (data["quality_target"], data["mode"]) == (0.7, "coarse")
