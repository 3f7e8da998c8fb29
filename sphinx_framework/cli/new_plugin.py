"""``new-plugin``: a distribution with one component, whose contract suite passes at once."""

import argparse
import re
from importlib.resources import files
from pathlib import Path

from sphinx_framework.cli.answer import print_json
from sphinx_framework.errors import ConfigError
from sphinx_framework.plugin import KINDS
from sphinx_framework.registry import Registry
from sphinx_framework.registry.discovery import PLUGINS_VARIABLE
from sphinx_framework.texts import counted

NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
SUMMARIES = {
    "regression": "A regression model for sphinx-framework",
    "diffusion": "A diffusion model for sphinx-framework",
    "quality": "A no-reference score for sphinx-framework",
    "mask": "A mask policy for sphinx-framework",
    "steps": "A step policy for sphinx-framework",
    "embedder": "A scene embedder for sphinx-framework",
    "poses": "A pose estimator for sphinx-framework",
    "scene_reader": "A scene reader for sphinx-framework",
}


def new_plugin(arguments: argparse.Namespace) -> int:
    """Write the distribution's folder; refuse one that holds anything."""
    name, kind = arguments.name, arguments.kind
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no plugin name.", hint="Lower-case letters, digits and dashes: my-model."
        )
    if kind not in KINDS:
        raise ConfigError(f"--kind {kind}: unknown.", hint=f"Kinds: {', '.join(KINDS)}.")
    _refuse_taken(name, kind)
    out = Path(arguments.out or f"sphinx-framework-{name}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out}: exists already.", hint="Choose another folder with --out.")
    written = write_plugin(out, name, kind)
    if arguments.json:
        print_json({"out": str(out), "files": written})
        return 0
    print(f"{out}: {counted(len(written), 'file')}")
    print(f"try it: pip install -e {out} && sphinx-nvs check {name} --kind {kind}")
    return 0


def _refuse_taken(name: str, kind: str) -> None:
    """One of two plugins with a name would not be used, or replace the other when installed."""
    distribution = f"sphinx-framework-{name}"
    for plugin in Registry.from_entry_points().plugins:
        if plugin.status in ("blocked", "absent"):
            continue
        offered = any((spec.kind, spec.name) == (kind, name) for spec in plugin.specs)
        if offered or plugin.name == name or plugin.distribution.lower() == distribution:
            what = f"{kind} component" if offered else "plugin"
            raise ConfigError(
                f"a {what} {name!r} is installed already, by {plugin.origin}.",
                hint="Choose another name; one that is yours is left out of the question by "
                f"{PLUGINS_VARIABLE}=-{plugin.name}.",
            )


def write_plugin(out: Path, name: str, kind: str) -> list[str]:
    """Fill the templates; returns the files' names below ``out``."""
    from jinja2 import Environment, StrictUndefined

    from sphinx_framework.testing.contracts import CONTRACTS

    package = f"sphinx_framework_{name.replace('-', '_')}"
    templates = files("sphinx_framework") / "templates" / "new_plugin"
    component = f"component/{kind}.py.jinja"
    class_name = "".join(part.capitalize() for part in name.split("-"))
    written = (templates / component).read_text(encoding="utf-8")
    if re.search(rf"\b{class_name}\b", written):  # a name of its own would hide that one
        class_name += kind.capitalize()
    values = {
        "name": name,
        "kind": kind,
        "package": package,
        "distribution": f"sphinx-framework-{name}",
        "class_name": class_name,
        "contract": CONTRACTS[kind].__name__,
        "summary": SUMMARIES[kind],
    }
    environment = Environment(
        undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=False
    )
    places = {
        "pyproject.toml": "pyproject.toml.jinja",
        "README.md": "README.md.jinja",
        "test_contract.py": "test_contract.py.jinja",
        f"src/{package}/plugin.py": "plugin.py.jinja",
        f"src/{package}/config.py": "config.py.jinja",
        f"src/{package}/component.py": component,
    }
    (out / "src" / package).mkdir(parents=True, exist_ok=True)
    (out / "src" / package / "__init__.py").write_text(f'"""{SUMMARIES[kind]}."""\n')
    for place, template in places.items():
        text = (templates / template).read_text(encoding="utf-8")
        (out / place).write_text(environment.from_string(text).render(values), encoding="utf-8")
    return sorted([*places, f"src/{package}/__init__.py"])
