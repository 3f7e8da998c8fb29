"""``plugins`` and ``describe``."""

import json

from commands import FAKES


def test_every_component_is_listed_with_plugin_version_and_state(command):
    told = command("plugins").told
    for kind in ("regression", "diffusion", "quality", "mask", "steps", "embedder"):
        assert f"{kind} fake fakes 1.2 any" in told


def test_what_is_not_for_commercial_use_is_marked(command, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "nc")
    source = FAKES.replace(
        "return fake_specs()",
        "from dataclasses import replace\n"
        "    return [replace(spec, non_commercial=True) for spec in fake_specs()]",
    )
    command.plugins.install("nc", source)
    assert "mask fake nc 1.2 non-commercial" in command("plugins").told


def test_json_holds_every_plugin_with_its_specs(command):
    told = json.loads(command("plugins", "--json").out)
    fakes = next(plugin for plugin in told["plugins"] if plugin["name"] == "fakes")
    assert (fakes["status"], fakes["version"]) == ("ok", "1.2")
    assert {spec["kind"] for spec in fakes["specs"]} >= {"regression", "diffusion"}


def test_a_broken_plugin_is_listed_with_its_reason_and_exit_code_0(command, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,bad")
    command.plugins.install("bad", "raise OSError('no driver')")
    ended = command("plugins")
    assert ended.code == 0
    assert "bad (sphinx-framework-bad) is broken: OSError: no driver" in ended.told
    assert "Traceback" not in ended.told
    assert "regression" in ended.told


def test_verbose_shows_why_a_plugin_is_broken(command, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "bad")
    command.plugins.install("bad", "raise OSError('no driver')")
    assert "Traceback" in command("plugins", "--verbose").out


def test_a_plugin_that_exits_at_import_does_not_end_the_command(command, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,bad")
    command.plugins.install("bad", "import sys\nsys.exit('enough')")
    ended = command("plugins")
    assert ended.code == 0
    assert "SystemExit: enough" in ended.told


def test_describe_shows_options_defaults_and_licence(command):
    told = command("describe", "fake", "--kind", "diffusion").told
    assert "diffusion fake" in told
    assert "sphinx-framework-fakes 1.2" in told
    assert "a tiny deterministic stand-in" in told
    assert "licence: Apache-2.0" in told
    assert "solver" in told
    assert '"euler"' in told


def test_describe_shows_all_components_of_a_name_or_of_a_plugin(command):
    for name in ("fake", "fakes"):
        told = json.loads(command("describe", name, "--json").out)
        assert len(told["components"]) == 6
        assert "seed" in told["components"][0]["options"]["properties"]


def test_describe_suggests_a_near_miss(command):
    ended = command("describe", "fak")
    assert ended.code == 2
    assert "no component is named 'fak'" in ended.err
    assert "Did you mean 'fake'?" in ended.err


def test_describing_a_broken_plugin_tells_its_reason(command, monkeypatch):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "bad")
    command.plugins.install("bad", "raise OSError('no driver')")
    ended = command("describe", "bad")
    assert ended.code == 2
    assert "broken: OSError: no driver" in ended.err


def test_describing_an_unknown_kind_lists_the_kinds(command):
    ended = command("describe", "fake", "--kind", "masks")
    assert ended.code == 2
    assert "Kinds: regression" in ended.err
