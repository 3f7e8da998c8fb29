"""Commands that plugins add to the command line; one that is broken harms no other command."""

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import Any

from sphinx_framework.errors import BrokenPluginError, JobError, SphinxError, raised
from sphinx_framework.plugin import CommandSpec
from sphinx_framework.registry import Registry
from sphinx_framework.registry.import_watch import ImportHangsError, watched_import

Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]
HINT = "See the traceback with --debug, and report it to the plugin's author."


def add_plugin_commands(add: Add) -> None:
    """Declare the commands of all plugins; ``add(name, run, summary)`` makes one.

    Arguments that cannot be declared are told when the command runs, so that other commands go on.
    """
    registry = Registry.from_entry_points()
    for plugin in registry.plugins:
        for spec in plugin.commands if plugin.status == "ok" else ():
            command = add(spec.name, _running(spec, plugin.origin), spec.summary)
            try:
                if spec.arguments:
                    _resolve(spec, spec.arguments, plugin.origin)(command)
            except BrokenPluginError as error:
                command.set_defaults(run=_refusing(error))
            except (Exception, SystemExit) as error:
                said = f"could not declare its arguments: {raised(error)}."
                refused = BrokenPluginError(_whose(spec, plugin.origin) + said, hint=HINT)
                command.set_defaults(run=_refusing(refused))


def _running(spec: CommandSpec, origin: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        command = _resolve(spec, spec.run, origin)
        try:
            return int(command(arguments) or 0)
        except (SphinxError, BrokenPipeError):
            raise
        except Exception as error:
            raise JobError(
                f"{_whose(spec, origin)}raised {raised(error)}",
                hint=HINT,
                kind="component-raised",
            ) from error

    return run


def _refusing(error: SphinxError) -> Callable[[argparse.Namespace], int]:
    def run(_arguments: argparse.Namespace) -> int:
        raise error

    return run


def _whose(spec: CommandSpec, origin: str) -> str:
    return f"command {spec.name!r} of {origin} "


def _resolve(spec: CommandSpec, target: str, origin: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        with watched_import(f"{target!r} of {origin}", "It is a plugin's command."):
            return getattr(import_module(module), attribute)
    except (Exception, SystemExit, ImportHangsError) as error:
        raise BrokenPluginError(
            f"{_whose(spec, origin)}is broken: {target!r} failed to load: {raised(error)}.",
            hint="See the traceback with --debug.",
        ) from error
