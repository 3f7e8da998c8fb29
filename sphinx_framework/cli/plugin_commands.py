"""Commands that plugins add to the command line."""

import argparse
from collections.abc import Callable, Container
from importlib import import_module
from typing import Any

from sphinx_framework.errors import BrokenPluginError, SphinxError
from sphinx_framework.plugin import CommandSpec
from sphinx_framework.registry import Registry

Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]


def add_plugin_commands(taken: Container[str], add: Add) -> None:
    """Declare the commands of all plugins; ``add(name, run, summary)`` makes one.

    taken: the names of the framework's own commands, which no plugin replaces. Arguments that
    cannot be declared are told when the command runs, so that other commands go on.
    """
    for spec in Registry.from_entry_points().commands:
        if spec.name in taken:
            continue
        try:
            declare = _resolve(spec, spec.arguments) if spec.arguments else None
        except BrokenPluginError as error:
            add(spec.name, _refusing(error), spec.summary)
            continue
        command = add(spec.name, _running(spec), spec.summary)
        if declare is not None:
            declare(command)


def _running(spec: CommandSpec) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        code = _resolve(spec, spec.run)(arguments)
        return int(code or 0)

    return run


def _refusing(error: SphinxError) -> Callable[[argparse.Namespace], int]:
    def run(_arguments: argparse.Namespace) -> int:
        raise error

    return run


def _resolve(spec: CommandSpec, target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (Exception, SystemExit) as error:
        raise BrokenPluginError(
            f"command {spec.name!r} of a plugin: {target!r} failed to load: "
            f"{type(error).__name__}: {error}.",
            hint="See the traceback with --debug.",
        ) from error
