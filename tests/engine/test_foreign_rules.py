"""Rules that were measured with other components are told."""

import pytest

from sphinx_framework.config import load_config, shipped_configs
from sphinx_framework.engine.rules_origin import foreign_rules
from sphinx_framework.policy.rules import Rules, load_rules

USES = {"regression": "lite", "diffusion": "lite", "quality": "lite"}


def rules(**provenance):
    table = {"quality": 0.9, "rows": [(0.0, 1.0, 20)], "samples": [3]}
    return Rules.model_validate(
        {
            "schema": "sphinx-framework/rules/1",
            "name": "mine",
            "num_steps": 50,
            "provenance": provenance,
            "table": [table],
        }
    )


def test_other_components_are_named():
    (told,) = foreign_rules(rules(regression="mvsplat (RE10K)", scorer="musiq"), USES)
    assert "regression 'mvsplat', not 'lite' and quality 'musiq', not 'lite'" in told
    assert told.startswith("the rules 'mine' were measured with")


@pytest.mark.parametrize(
    "provenance",
    [{}, {"regression": "lite", "diffusion": "Lite, 50 steps", "scorer": "lite"},
     {"regression": "none: taken from MVSplat"}],
)  # fmt: skip
def test_own_components_and_none_at_all_are_fine(provenance):
    assert foreign_rules(rules(**provenance), USES) == ()


def test_a_policy_without_rules_is_fine():
    assert foreign_rules(None, USES) == ()


@pytest.mark.parametrize("name", shipped_configs())
def test_no_shipped_pipeline_has_rules_of_another(name):
    config = load_config(name)
    where = config.pipeline["steps"].options.get("rules")
    if where is None:
        pytest.skip("its step policy has no rules")
    uses = {role: component.use for role, component in config.pipeline.items()}
    assert foreign_rules(load_rules(where).rules, uses) == ()
