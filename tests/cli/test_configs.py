"""``configs`` and ``schema``."""

import json

from sphinx_framework.config import shipped_configs


def test_shipped_pipelines_are_listed_with_what_is_missing(command):
    told = json.loads(command("configs", "--json").out)
    assert [row["name"] for row in told["configs"]] == list(shipped_configs())
    for row in told["configs"]:
        assert row["summary"]
        assert row["missing"]  # only the fakes are installed here


def test_the_table_names_them_too(command):
    told = command("configs").told
    for name in shipped_configs():
        assert name in told


def test_the_schema_describes_a_pipeline_file(command):
    schema = json.loads(command("schema").out)
    assert {"pipeline", "plan", "engine", "cost", "quality"} <= schema["properties"].keys()


def test_the_schema_of_a_config_holds_its_components_options(command):
    schema = json.loads(command("schema", "--json", "--config", command.config).out)
    assert schema["components"].keys() >= {"regression", "diffusion", "steps", "mask"}
    assert "seed" in schema["components"]["mask"]["properties"]


def test_the_schema_of_a_missing_config_is_bad_input(command):
    assert command("schema", "--config", "nothing").code == 2


def test_the_schema_closes_roles_and_the_options_of_each_installed_component(command):
    pipeline = json.loads(command("schema").out)["properties"]["pipeline"]
    assert pipeline["additionalProperties"] is False
    assert set(pipeline["required"]) == {"regression", "diffusion", "quality", "mask", "steps"}
    (mask,) = pipeline["properties"]["mask"]["oneOf"]
    assert mask["properties"]["use"]["const"] == "fake"
    assert "seed" in mask["properties"]
    assert mask["additionalProperties"] is False
