"""``calibrate --policy NAME``: a step policy trained on the samples of the rules."""

import json

import pytest


def trained(study, *more):
    return study(
        "calibrate", "--config", study.config, "--scenes", "fake:set/0-5", "--out",
        study.out / "mine.toml", "--policy", "ddp", "--spacing", 2, "--min-samples", 3,
        "--min-scenes", 2, "--bins", 2,
        "--steps", "every", "--qualities", "0.9", "--device", "cpu", *more,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _with_ddp(study, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,readers,klogic,ddp")
    # What is trained is looked at in the plugin's own tests.
    monkeypatch.setattr("sphinx_framework_ddp.training.EPOCHS", 4)


def test_it_is_written_judged_beside_the_rules_and_used(study):
    ended = trained(study, "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    (own,), (rules,) = told["held_out"], told["rules_held_out"]
    assert own["scenes"] == rules["scenes"] == 6
    assert 0 <= own["steps"] <= 4
    written = (study.out / "mine.toml").read_text()
    assert f"samples {told['samples']}" in written
    use = ("--set", "steps.use=ddp", "--set", f"steps.policy={study.out / 'mine.toml'}")
    report = json.loads(study.plan("--json", "--quality", 0.9, *use).out)
    assert any("trained network" in note for note in report["notes"])


def test_a_policy_that_is_not_trained_is_refused_before_anything_is_measured(study):
    ended = trained(study, "--policy", "klogic")
    assert ended.code == 2
    assert "'klogic' is not trained from samples" in ended.told
    assert "ddp" in ended.told
    assert not (study.out / "mine.samples").exists()


@pytest.mark.parametrize("tried", [("--steps", "1,2"), ("--starts", "1,2")])
def test_plans_that_no_policy_can_be_trained_on_are_refused_before_anything_is_measured(
    study, tried
):
    ended = trained(study, *tried)
    assert ended.code == 2
    assert "the pipeline's own walks, from step 0 on" in ended.told
    assert not (study.out / "mine.samples").exists()


def test_rules_beside_a_policy_are_fitted_to_the_score_that_it_is_trained_on(study):
    ended = trained(study, "--objective", "truth")
    assert ended.code == 2
    assert "a step policy is trained on scores" in ended.told
    assert not (study.out / "mine.samples").exists()
