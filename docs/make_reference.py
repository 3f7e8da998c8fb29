"""Write ``docs/reference.md``: every command with its options, and the public Python names.

Run: ``make docs``, which builds the site with it; the page is not kept in the repository.
"""

import argparse
import inspect
from pathlib import Path

import sphinx_framework as sf
from sphinx_framework.cli.examples import EXAMPLES
from sphinx_framework.cli.main import build_parser
from sphinx_framework.output.saving import SAVES
from sphinx_framework.scenes.presets import PRESETS

PAGE = Path(__file__).parent / "reference.md"
HEAD = "# Reference\n\nWritten from the code by `make docs`.\n"


def reference() -> str:
    """The page's text."""
    parts = [HEAD, "## Commands\n"]
    commands = build_parser()._subparsers._group_actions[0]  # argparse has no public way
    for name, parser in commands.choices.items():
        parts += [
            f"### sphinx-nvs {name}\n",
            f"{_capital(parser.description)}.\n",
            _options(parser),
        ]
        parts += ["```sh", *EXAMPLES[name], "```\n"]
    parts += ["## Names after --save\n", "| name | writes |", "|---|---|"]
    parts += [f"| `{name}` | {_cell(what)} |" for name, what in SAVES.items()]
    parts += [
        "\n## Camera moves\n",
        "| move | what it does | option: default (range) |",
        "|---|---|---|",
    ]
    for name, preset in PRESETS.items():
        told = ", ".join(f"{k}: {d:g} ({a:g} to {b:g})" for k, (d, a, b) in preset.options.items())
        parts.append(f"| `{name}` | {preset.summary} | {told} |")
    parts.append("\n## Python\n\n`import sphinx_framework as sf`\n")
    for name in sorted(sf.__all__):
        value = getattr(sf, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            parts += [f"### sf.{name}\n", "```text", inspect.cleandoc(value.__doc__ or ""), "```\n"]
            parts += _methods(name, value) if name in ("Engine", "Registry") else []
    return "\n".join(parts).rstrip() + "\n"


def _options(parser: argparse.ArgumentParser) -> str:
    rows = ["| argument | |", "|---|---|"]
    for action in parser._actions:
        if action.help is argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
            continue
        words = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        value = f" {action.metavar}" if action.option_strings and action.metavar else ""
        needed = " (required)" if action.required and action.option_strings else ""
        rows.append(f"| `{_cell(words + value)}` | {_cell(action.help or '')}{needed} |")
    return "\n".join(rows) + "\n"


def _methods(name: str, owner: type) -> list[str]:
    rows = ["| method | |", "|---|---|"]
    for method, value in vars(owner).items():
        called = value.__func__ if isinstance(value, classmethod) else value
        if not method.startswith("_") and inspect.isfunction(called):
            first = inspect.cleandoc(called.__doc__ or "").split("\n\n")[0].replace("\n", " ")
            given = ", ".join(
                p for p in inspect.signature(called).parameters if p not in ("self", "cls")
            )
            rows.append(f"| `{name}.{method}({given})` | {_cell(first)} |")
    return [*rows, ""]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _capital(text: str | None) -> str:
    return (text or "")[:1].upper() + (text or "")[1:]


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
