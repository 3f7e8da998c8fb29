"""The command to go on with after ``import``: a pipeline that is installed and takes the scene."""

import shlex
import tomllib
from pathlib import Path
from typing import Any

from sphinx_framework.config import ROLES, shipped_configs
from sphinx_framework.registry import Registry

# In the order in which they are proposed. The first needs no weights of others; those for one
# photo are the only ones that take it.
_FIRST = "lite"
_LARGER = 192  # pixels a side: the larger of the sizes that it was trained at
_ONE_PHOTO = ("sharp-viewcrafter", "viewcrafter-single", "sharp-seva")


def missing_components(data: dict[str, Any], registry: Registry) -> list[str]:
    """Components of a pipeline file that no installed plugin offers, each with its role."""
    used = {role: table["use"] for role, table in data["pipeline"].items()}
    return [f"{role} {use}" for role, use in used.items() if use not in registry.names(ROLES[role])]


def fitting_config(inputs: int, registry: Registry) -> str | None:
    """The shipped pipeline to propose for so many inputs; ``None`` where none is installed."""
    installed = [
        name
        for name, path in shipped_configs().items()
        if not missing_components(tomllib.loads(path.read_text(encoding="utf-8")), registry)
    ]
    several = [_FIRST, *(name for name in installed if name not in (_FIRST, *_ONE_PHOTO))]
    wanted = _ONE_PHOTO if inputs == 1 else (*several, *_ONE_PHOTO)
    return next((name for name in wanted if name in installed), None)


def render_command(
    out: str, inputs: int, targets: int, registry: Registry, side: int = 0
) -> tuple[str, str]:
    """The command that renders an imported scene, and what to know about it.

    side: the shortest of its pictures, in pixels; larger results are proposed where it has them.

    Without any pipeline that takes the scene, the command is empty, and the note says what to
    install.
    """
    from sphinx_framework.scenes.load import DEFAULT_PATH

    config = fitting_config(inputs, registry)
    if config is None:
        photos = "one photo" if inputs == 1 else "it"
        plugin = "sphinx-framework-sharp" if inputs == 1 else "sphinx-framework-lite"
        return "", f"no installed pipeline takes {photos}; install one, such as {plugin}"
    path = f" --targets {DEFAULT_PATH if inputs > 1 else 'orbit:24:15'}" if not targets else ""
    # Beside the folder, however it was named: "scene/" or "." would put it inside.
    named = out.rstrip("/") if out.strip("./") else str(Path(out).resolve())
    scene, beside = shlex.quote(named), shlex.quote(f"{named}-rendered")
    size = f" --size {_LARGER}" if config == _FIRST and side >= _LARGER else ""
    command = f"sphinx-nvs render --config {config}{size} --scene {scene}{path} --out {beside}"
    note = "" if config == _FIRST else f"{config} needs weights: see sphinx-nvs doctor"
    return command, note
