"""``configs`` and ``schema``."""

import argparse
import tomllib
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from sphinx_framework.cli.answer import print_json
from sphinx_framework.cli.next_command import missing_components
from sphinx_framework.config import (
    OPTIONAL_ROLES,
    ROLES,
    PipelineConfig,
    load_config,
    shipped_configs,
)
from sphinx_framework.errors import BrokenPluginError
from sphinx_framework.registry import Registry


def configs(arguments: argparse.Namespace) -> int:
    """List the shipped pipelines and whether their components are installed."""
    registry = Registry.from_entry_points()
    rows = []
    for name, path in shipped_configs().items():
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        used = {role: table["use"] for role, table in data["pipeline"].items()}
        missing = missing_components(data, registry)
        rows.append(
            {
                "name": name,
                "summary": data.get("summary", ""),
                "components": used,
                "missing": missing,
            }
        )
    if arguments.json:
        print_json({"configs": rows})
        return 0
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("name", "what it is", "not installed"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(str(row["name"]), str(row["summary"]), ", ".join(row["missing"]) or "-")
    Console().print(table)
    return 0


def schema(arguments: argparse.Namespace) -> int:
    """Print the JSON Schema of a pipeline file, with the options of a config's components."""
    registry = Registry.from_entry_points()
    document = pipeline_document(registry)
    if arguments.config:
        config = load_config(arguments.config)
        document["components"] = {
            role: registry.options_model(
                registry.find(ROLES[role], component.use)
            ).model_json_schema()
            for role, component in config.pipeline.items()
        }
    print_json(document, indent=None if arguments.json else 2)
    return 0


def pipeline_document(registry: Registry) -> dict[str, Any]:
    """The JSON Schema of a pipeline file, with the options of all installed components."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **PipelineConfig.model_json_schema(),
    }
    document["properties"]["pipeline"] = _pipeline_schema(registry)
    return document


def _pipeline_schema(registry: Registry) -> dict[str, Any]:
    """The roles, closed: one alternative per installed component, closed by its own options."""
    roles: dict[str, Any] = {}
    for role, kind in ROLES.items():
        alternatives = []
        for name in registry.names(kind):
            spec = registry.find(kind, name)
            try:
                options = registry.options_model(spec).model_json_schema()
            except BrokenPluginError:
                continue  # it is listed with its reason by `plugins`; others go on
            options["properties"] = {
                "use": {"const": name, "description": spec.summary or f"{kind} {name}"},
                **options.get("properties", {}),
            }
            options["required"] = ["use", *options.get("required", [])]
            options["additionalProperties"] = False
            # Its own identity, so that references stay within the alternative.
            options["$id"] = f"urn:sphinx-framework:{kind}:{name}"
            alternatives.append(options)
        roles[role] = {
            "description": f"the {kind} component and its options",
            "oneOf": alternatives,
        }
    required = [role for role in ROLES if role not in OPTIONAL_ROLES]
    return {
        "description": "one component per role; every other key of a role is an option of it",
        "type": "object",
        "properties": roles,
        "required": required,
        "additionalProperties": False,
    }
