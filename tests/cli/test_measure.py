"""``measure`` writes a cost table that ``render --cost`` takes."""

import json

import pytest

from sphinx_framework.config import load_cost


def measured(command, *more):
    given = ("--config", command.config, "--scene", command.scene, "--device", "cpu")
    return command(
        "measure", *given, "--seconds", 0.01, "--out", command.folder / "cost.toml", *more
    )


def test_the_written_table_is_a_cost_model_of_this_machine(command):
    ended = measured(command)
    assert ended.code == 0, ended.err
    cost = load_cost(command.folder / "cost.toml")
    assert cost.full > 0
    assert cost.num_frames == 5
    assert "32x40, fake" in cost.measured
    assert "tiles pay below" in ended.told


def test_json_holds_model_and_samples(command):
    told = json.loads(measured(command, "--json").out)
    assert told["cost"]["full"] > 0
    assert {sample["kind"] for sample in told["samples"]} == {"dense", "frames", "full", "tiles"}


def test_a_measured_table_predicts_a_plan(command):
    measured(command)
    ended = command.plan("--json", "--mode", "diffusion", "--cost", command.folder / "cost.toml")
    told = json.loads(ended.out)
    assert told["predicted_seconds"] > told["predicted_denoise_seconds"] > 0


def test_a_file_that_cannot_be_written_is_bad_input(command):
    ended = measured(command, "--out", command.folder / "no/such/folder.toml")
    assert ended.code == 2
    assert "cannot write" in ended.err


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_time_that_is_none_is_bad_input(command, seconds):
    ended = measured(command, "--seconds", seconds)
    assert ended.code == 2
    assert "--seconds" in ended.err
    assert not (command.folder / "cost.toml").exists()


def test_a_size_that_does_not_fit_is_refused_before_anything_is_measured(command):
    ended = measured(command, "--sizes", "32x32,50")
    assert ended.code == 2
    assert "50x50 is not" in ended.err
    assert not (command.folder / "cost.toml").exists()
