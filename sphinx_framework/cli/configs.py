"""``configs`` and ``schema``."""

import argparse
import tomllib

from rich import box
from rich.console import Console
from rich.table import Table

from sphinx_framework.cli.answer import print_json
from sphinx_framework.config import ROLES, PipelineConfig, load_config, shipped_configs
from sphinx_framework.registry import Registry


def configs(arguments: argparse.Namespace) -> int:
    """List the shipped pipelines and whether their components are installed."""
    registry = Registry.from_entry_points()
    rows = []
    for name, path in shipped_configs().items():
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        used = {role: table["use"] for role, table in data["pipeline"].items()}
        missing = [
            f"{role} {use}" for role, use in used.items() if use not in registry.names(ROLES[role])
        ]
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
    document = PipelineConfig.model_json_schema()
    if arguments.config:
        config = load_config(arguments.config)
        registry = Registry.from_entry_points()
        document["components"] = {
            role: registry.options_model(
                registry.find(ROLES[role], component.use)
            ).model_json_schema()
            for role, component in config.pipeline.items()
        }
    print_json(document, indent=None if arguments.json else 2)
    return 0
