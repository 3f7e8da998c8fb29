"""Errors name who made them: the user's value by file and key, a component by its name."""

import pytest
import torch

from sphinx_framework.errors import ConfigError, JobError, MemoryBudgetError, SceneError
from sphinx_framework.options import Options
from sphinx_framework.plugin import ComponentSpec
from sphinx_framework.policy.rules import load_rules
from sphinx_framework.registry import Registry
from sphinx_framework.witness import Witness


@pytest.mark.parametrize("where", ["sys:rules.toml", "__main__:rules.toml", "json.tool:rules.toml"])
def test_rules_in_a_module_that_is_no_package_are_the_users_mistake(where):
    with pytest.raises(ConfigError, match=f"^rules {where}: ") as error:
        load_rules(where)
    assert error.value.hint


@pytest.mark.parametrize("rules", ["sys:rules.toml", "absent.toml"])
def test_a_rule_file_that_cannot_be_used_is_told_with_the_pipeline_and_its_table(rules):
    from sphinx_framework.engine.engine import Engine

    overrides = ["steps.use=klogic", f"steps.rules={rules}"]
    told = rf"lite.*, \[pipeline\.steps\]: steps 'klogic' from .*: rules {rules}: "
    with pytest.raises(ConfigError, match=told):
        Engine.from_config("lite", overrides=overrides, device="cpu")


@pytest.mark.parametrize("said", ["", "I cannot do this."])
def test_a_components_own_error_names_it_and_keeps_its_kind_and_hint(said):
    witness = Witness("regression", "mine", "my-plugin 1.0")
    with pytest.raises(SceneError) as error, witness.asked("regression"):
        raise SceneError(said, hint="Do that.")
    told = said or "it raised a SceneError that says nothing."
    assert error.value.message == f"regression 'mine' (my-plugin 1.0): {told}"
    assert error.value.hint == "Do that."
    assert str(error.value).endswith("Do that.")


def test_an_error_that_names_the_component_or_is_the_frameworks_own_is_left_as_it_is():
    witness = Witness("regression", "mine")
    for error in (SceneError("'mine' wants two photos."), MemoryBudgetError("x"), JobError("x")):
        with pytest.raises(type(error)) as raised, witness.asked("regression"):
            raise error
        assert raised.value.message == error.message
        assert "regression 'mine'" not in raised.value.message


def refuses(options, device, parts):
    raise SceneError("")


def test_a_component_that_refuses_to_be_built_without_a_word_is_named():
    registry = Registry.from_specs(
        [ComponentSpec(kind="mask", name="silent", factory=f"{__name__}:refuses")], "my-plugin"
    )
    with pytest.raises(SceneError, match=r"mask 'silent' from my-plugin.*says nothing"):
        registry.build("mask", "silent", Options(), torch.device("cpu"))


@pytest.mark.parametrize("value", ["x", "-1", "nan", "0"])
def test_a_limit_of_imports_that_is_none_is_refused_once(monkeypatch, value):
    monkeypatch.setenv("SPHINX_FRAMEWORK_IMPORT_SECONDS", value)
    with pytest.raises(ConfigError, match=f"SPHINX_FRAMEWORK_IMPORT_SECONDS is '{value}'"):
        Registry.from_entry_points([])


@pytest.mark.parametrize("value", ["lit", "-lit"])
def test_a_name_of_no_plugin_in_the_environment_is_told(monkeypatch, value):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", value)
    told = {plugin.name: plugin for plugin in Registry.from_entry_points().plugins}
    assert told["lit"].status == "absent"
    assert told["lit"].reason.startswith("no installed plugin has that name. Did you mean 'lite'?")


def test_a_name_that_is_taken_is_refused_for_a_new_plugin(command, monkeypatch, tmp_path):
    monkeypatch.delenv("SPHINX_FRAMEWORK_PLUGINS")
    out = str(tmp_path / "new")
    ended = command("new-plugin", "lite", "--kind", "mask", "--out", out)
    assert ended.code == 2
    assert "a plugin 'lite' is installed already, by sphinx-framework-lite" in ended.err
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "-lite")
    assert command("new-plugin", "lite", "--kind", "mask", "--out", out).code == 0
