"""``check``: the contract suites on installed components."""

import json

import pytest

BROKEN = """
from sphinx_framework.plugin import Capabilities, ComponentSpec, hookimpl
from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion, FakeMask

@hookimpl
def sphinx_framework_components():
    return [
        ComponentSpec(kind="diffusion", name="mixing", factory=__name__ + ":Mixing",
                      capabilities=Capabilities(frame_subset=True)),
        ComponentSpec(kind="mask", name="soft", factory=__name__ + ":Soft"),
        ComponentSpec(kind="scene_reader", name="dice", factory=__name__ + ":Soft"),
    ]

class Mixing(FakeDiffusion):
    def __init__(self, options, device, parts):
        super().__init__(FakeConfig(), device)

    def denoise(self, x, step, condition, ops):
        return super().denoise(x, step, condition, ops) + x.mean(0, keepdim=True)

class Soft(FakeMask):
    def mask(self, coarse, scene, cluster):
        return super().mask(coarse, scene, cluster).float()
"""


@pytest.fixture
def broken(command, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "broken")
    command.plugins.install("broken", BROKEN)
    return command


def results(ended):
    return {entry["check"]: entry["outcome"] for entry in json.loads(ended.out)["results"]}


def test_the_fakes_hold_their_contracts(command):
    ended = command("check", "fake")
    assert ended.code == 0, ended.out
    assert "FAILED" not in ended.out
    assert "diffusion fake: fresh cache equivalence of tiles" in ended.told


def test_one_kind_can_be_checked_with_options(command):
    ended = command("check", "fake", "--kind", "diffusion", "--set", "solver=dpmpp_2m", "--json")
    assert ended.code == 0
    told = json.loads(ended.out)
    assert told["ok"]
    assert {entry["kind"] for entry in told["results"]} == {"diffusion"}


def test_a_broken_component_fails_its_contract_with_exit_code_1(broken):
    ended = broken("check", "mixing", "--json")
    assert ended.code == 1
    outcome = results(ended)
    assert outcome["fresh_cache_equivalence_of_frames"] == "failed"
    assert outcome["fresh_cache_equivalence_of_tiles"] == "not applicable"
    assert outcome["codec_shapes"] == "passed"


def test_the_text_says_what_failed_and_why(broken):
    told = broken("check", "mixing").told
    assert "FAILED diffusion mixing: fresh cache equivalence of frames" in told
    assert "goes through ops" in told


def test_every_failure_is_reported_not_only_the_first(broken):
    ended = broken("check", "soft")
    assert ended.code == 1
    assert "FAILED mask soft: marks pixels of every target" in ended.told
    assert "ok mask soft: is deterministic" in ended.told


def test_a_scene_reader_is_checked_without_a_sample_too(broken):
    ended = broken("check", "dice")
    assert ended.code == 1
    assert "FAILED scene_reader dice: declines what is not its format" in ended.told
    assert "give one with --sample PATH" in ended.told


def test_checking_what_is_not_there_is_bad_input(command):
    ended = command("check", "fke")
    assert ended.code == 2
    assert "Did you mean 'fake'?" in ended.err


def test_an_unknown_option_is_bad_input(command):
    ended = command("check", "fake", "--kind", "mask", "--set", "sed=1")
    assert ended.code == 2
    assert "unknown option 'sed'" in ended.err
