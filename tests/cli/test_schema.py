"""The schema of pipeline files: editors mark unknown roles and options, and explain every field."""

import copy
import tomllib
from pathlib import Path

import jsonschema
import pytest

from sphinx_framework.cli.configs import pipeline_document
from sphinx_framework.config import shipped_configs
from sphinx_framework.registry import Registry
from sphinx_framework.registry.discovery import OURS

REPOSITORY = Path(__file__).parents[2]
SCHEMA = "pipeline.schema.json"


@pytest.fixture(scope="module")
def document():
    patch = pytest.MonkeyPatch()
    patch.delenv("SPHINX_FRAMEWORK_PLUGINS", raising=False)
    registry = Registry.from_entry_points()
    patch.undo()
    ours = [p for p in registry.plugins if p.distribution in OURS]
    return pipeline_document(Registry(plugins=ours))


@pytest.fixture(scope="module")
def validator(document):
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.fixture
def lite():
    return copy.deepcopy(tomllib.loads(shipped_configs()["lite"].read_text()))


@pytest.mark.parametrize("name", shipped_configs())
def test_a_shipped_pipeline_is_valid_and_names_its_schema(validator, name):
    text = shipped_configs()[name].read_text()
    assert text.splitlines()[0] == f"#:schema {SCHEMA}"
    validator.validate(tomllib.loads(text))


def test_the_schema_lies_where_the_pipelines_look_for_it():
    assert f"SCHEMA := sphinx_framework/configs/{SCHEMA}" in (REPOSITORY / "Makefile").read_text()


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ((), "qualty", 0.9),
        (("pipeline",), "refiner", {"use": "lite"}),
        (("pipeline", "regression"), "use", "no-such-model"),
        (("pipeline", "regression"), "no_such_option", 1),
        (("plan",), "refresh_evry", 3),
        (("engine",), "budget_ms", "soon"),
        ((), "quality", 2.0),
        ((), "mode", "fastest"),
    ],
)
def test_what_is_unknown_or_of_the_wrong_type_is_marked(validator, lite, where, key, value):
    table = lite
    for part in where:
        table = table.setdefault(part, {})
    table[key] = value
    assert list(validator.iter_errors(lite))


def test_a_role_that_is_missing_is_marked(validator, lite):
    del lite["pipeline"]["steps"]
    assert any("'steps' is a required property" in e.message for e in validator.iter_errors(lite))


def test_every_field_says_what_it_is(document):
    assert undescribed(document) == []


def undescribed(node, path="") -> list[str]:
    """Fields without a description, anywhere below."""
    if isinstance(node, list):
        return [gap for i, item in enumerate(node) for gap in undescribed(item, f"{path}[{i}]")]
    if not isinstance(node, dict):
        return []
    fields = node.get("properties")
    found = []
    for name, field in fields.items() if isinstance(fields, dict) else ():
        if isinstance(field, dict) and not field.get("description"):
            found.append(f"{path}.{name}")
    return found + [gap for key, item in node.items() for gap in undescribed(item, f"{path}/{key}")]
