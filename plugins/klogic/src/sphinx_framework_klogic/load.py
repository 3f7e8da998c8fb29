"""Finding and reading rule files (torch-free)."""

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import ValidationError

from sphinx_framework.errors import ConfigError, suggestion
from sphinx_framework_klogic.rules import Rules

RESOURCE = re.compile(r"^(?P<package>[A-Za-z_]\w+(\.\w+)*):(?P<file>[^/\\]+)$")
HINT = "Give the path of a rule file, or package:file; the format is in sphinx-framework-klogic's "


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFile:
    """Rules and the folder they lie in (files they name are looked for there)."""

    rules: Rules
    folder: Traversable
    where: str


def load_rules(where: str) -> RuleFile:
    """Read a rule file by path or as ``package:file``.

    Raises :class:`ConfigError` naming the file and the first thing that is wrong in it.
    """
    folder, name = _locate(where)
    try:
        data = tomllib.loads((folder / name).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"rules {where}: not a valid TOML file: {error}.") from None
    except OSError:
        raise ConfigError(
            f"rules {where}: no such file.",
            hint=f"{suggestion(name, _rule_files(folder))}{HINT}README.",
        ) from None
    try:
        rules = Rules.model_validate(data)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        detail = problem["msg"].removeprefix("Value error, ")
        raise ConfigError(f"rules {where}: {f'{key}: ' if key else ''}{detail}.") from None
    return RuleFile(rules=rules, folder=folder, where=where)


def _locate(where: str) -> tuple[Traversable, str]:
    resource = RESOURCE.match(where)
    if resource is None:
        path = Path(where)
        return path.parent, path.name
    try:
        return files(resource["package"]), resource["file"]
    except ModuleNotFoundError:
        raise ConfigError(
            f"rules {where}: there is no package {resource['package']!r}.",
            hint=f"{HINT}README.",
        ) from None


def _rule_files(folder: Traversable) -> list[str]:
    if not folder.is_dir():
        return []
    return [entry.name for entry in folder.iterdir() if entry.name.endswith(".toml")]
