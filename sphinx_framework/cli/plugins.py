"""``plugins`` and ``describe``: nothing here imports torch."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sphinx_framework.cli.answer import print_json
from sphinx_framework.errors import UnknownComponentError, suggestion
from sphinx_framework.plugin import CommandSpec, ComponentSpec
from sphinx_framework.registry import Registry
from sphinx_framework.registry.discovery import PluginRecord


def plugins(arguments: argparse.Namespace) -> int:
    """List every discovered plugin with its components, or the reason why it has none."""
    registry = Registry.from_entry_points()
    if arguments.json:
        print_json({"plugins": [_record(p) for p in registry.plugins]})
        return 0
    console = Console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("kind", "name", "plugin", "version", "use"):
        table.add_column(name, overflow="fold")
    for plugin in registry.plugins:
        if plugin.status != "ok":  # in place of what it may be used for
            table.add_row("-", "-", plugin.name, plugin.version, plugin.status)
        for spec in plugin.specs if plugin.status == "ok" else ():
            use = "non-commercial" if spec.non_commercial else "any"
            table.add_row(spec.kind, spec.name, plugin.name, plugin.version, use)
        for refused in plugin.refused if plugin.status == "ok" else ():
            kind = "command" if isinstance(refused.spec, CommandSpec) else refused.spec.kind
            table.add_row(kind, refused.spec.name, plugin.name, plugin.version, "duplicate")
    console.print(table)
    _tell_more(console, registry, arguments.verbose)
    if not registry.plugins:
        console.print("no plugins are installed; install for example sphinx-framework-lite")
    return 0


def _tell_more(console: Console, registry: Registry, verbose: bool) -> None:
    """Commands of plugins, what is refused, and why."""
    for command in registry.commands:
        console.print(f"command {command.name}: {escape(command.summary)}")
    for plugin in registry.plugins:
        for refused in plugin.refused if plugin.status == "ok" else ():
            console.print(
                f"{escape(refused.reason)}; that of {plugin.name} ({escape(plugin.origin)}) is not "
                "used",
                soft_wrap=True,
            )
        if plugin.status != "ok":
            console.print(
                f"{plugin.name} ({escape(plugin.distribution)}) is {plugin.status}: "
                f"{escape(plugin.reason)}",
                soft_wrap=True,
            )
            if verbose and plugin.details:
                console.print(plugin.details, markup=False, highlight=False)


def find_named(registry: Registry, name: str, kind: str | None) -> list[ComponentSpec]:
    """All components of a name (and kind); raises when there is none."""
    if kind is not None:
        return [registry.find(kind, name)]
    found = [spec for spec in registry.specs if spec.name == name]
    if found:
        return found
    for plugin in registry.plugins:
        if plugin.name == name and plugin.specs and plugin.status == "ok":
            return list(plugin.specs)
        if plugin.status != "ok" and name in {plugin.name, *(s.name for s in plugin.specs)}:
            registry.find(plugin.specs[0].kind if plugin.specs else "diffusion", name)
    known = sorted({spec.name for spec in registry.specs})
    raise UnknownComponentError(
        f"no component is named {name!r}.",
        hint=f"{suggestion(name, known)}Known: {', '.join(known) or 'none installed'}.",
    )


def describe(arguments: argparse.Namespace) -> int:
    """Print what a component is, what it may be set to, and its licences."""
    registry = Registry.from_entry_points()
    found = find_named(registry, arguments.name, arguments.kind)
    if arguments.json:
        described = [
            {**asdict(spec), "options": registry.options_model(spec).model_json_schema()}
            for spec in found
        ]
        print_json({"components": described})
        return 0
    console = Console()
    for spec in found:
        console.print(
            f"[bold]{spec.kind} {spec.name}[/bold]  {escape(registry.distribution_of(spec))}"
        )
        if spec.summary:
            console.print(escape(spec.summary))
        console.print(f"licence: {escape(_licence(spec))}")
        if spec.kind == "diffusion":
            console.print(f"can: {_able(spec)}")
        _options(console, registry.options_model(spec).model_json_schema())
    return 0


def _options(console: Console, schema: dict[str, Any]) -> None:
    properties = schema.get("properties", {})
    if not properties:
        console.print("no options")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("option")
    table.add_column("default", overflow="fold")
    table.add_column("meaning", overflow="fold")
    for name, field in properties.items():
        default = json.dumps(field["default"]) if "default" in field else "(required)"
        table.add_row(name, escape(default), escape(field.get("description", "")))
    console.print(table)


def _record(plugin: PluginRecord) -> dict[str, Any]:
    return {**asdict(plugin), "specs": [asdict(spec) for spec in plugin.specs]}


def _licence(spec: ComponentSpec) -> str:
    weights = f" ({spec.weights_licence})" if spec.weights_licence else ""
    return f"{spec.licence}{weights}{', non-commercial' if spec.non_commercial else ''}"


def _able(spec: ComponentSpec) -> str:
    if spec.kind != "diffusion":
        return ""
    able = ["dense"]
    able += ["frame subsets"] if spec.capabilities.frame_subset else []
    able += ["tiles"] if spec.capabilities.block_sparse else []
    return ", ".join(able)
