"""``doctor`` on a machine where only the fakes are installed."""

import json


def test_everything_is_checked_and_nothing_here_fails(command):
    ended = command("doctor", "--device", "cpu", "--json")
    told = json.loads(ended.out)
    assert ended.code == 0, ended.out
    assert told["ok"]
    checks = {check["name"]: check for check in told["checks"]}
    assert checks["engine on fakes"]["state"] == "ok"
    assert checks["gaussian renderer"]["state"] == "ok"
    assert checks["plugin fakes"]["state"] == "ok"
    assert checks["pipeline lite"]["state"] == "absent"


def test_a_failing_check_is_exit_code_1_and_says_what_to_do(command, monkeypatch):
    from sphinx_framework.cli import doctor
    from sphinx_framework.errors import JobError

    def broken():
        raise JobError("the kernel is wrong.", hint="Update the driver.")

    monkeypatch.setattr(doctor, "_gaussian_render", broken)
    ended = command("doctor", "--device", "cpu")
    assert ended.code == 1
    assert "failed gaussian renderer: the kernel is wrong." in ended.told
    assert "Update the driver." in ended.told


def test_a_broken_plugin_is_told_but_is_no_failure_of_the_machine(command, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,bad")
    command.plugins.install("bad", "raise OSError('no driver')")
    ended = command("doctor", "--device", "cpu")
    assert ended.code == 0
    assert "plugin bad: broken: OSError: no driver" in ended.told


def test_a_device_that_is_not_there_is_bad_input(command):
    assert command("doctor", "--device", "cuda:99").code == 2


def test_every_component_that_a_pipeline_lacks_is_told(command, monkeypatch):
    from sphinx_framework.errors import WeightsError
    from sphinx_framework.registry import Registry
    from sphinx_framework.testing.pipeline import fake_config

    build = Registry.build

    def without_weights(self, kind, name, *given, **named):
        if kind in ("regression", "diffusion"):
            raise WeightsError(f"{kind} {name}: no weights.", hint=f"Fetch those of {name}.")
        return build(self, kind, name, *given, **named)

    monkeypatch.setattr(Registry, "build", without_weights)
    monkeypatch.setattr("sphinx_framework.cli.doctor.shipped_configs", lambda: ["fakes"])
    monkeypatch.setattr("sphinx_framework.cli.doctor.load_config", lambda _: fake_config())
    told = json.loads(command("doctor", "--device", "cpu", "--json").out)["checks"]
    lacking = [check["told"] for check in told if check["name"].startswith("pipeline fakes")]
    assert lacking == ["regression fake: no weights.", "diffusion fake: no weights."]
