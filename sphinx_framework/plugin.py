"""What a plugin declares: specs of its components and commands, and the hooks (torch-free).

A plugin is a distribution with one entry point in the group ``sphinx_framework``. The entry point
names a light module that implements :func:`sphinx_framework_components` and imports no torch, so
that listing every installed plugin takes milliseconds.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pluggy

if TYPE_CHECKING:
    from sphinx_framework.protocols import Embedder

PROJECT = "sphinx_framework"
ENTRY_POINT_GROUP = "sphinx_framework"
API_VERSION = 2

Kind = Literal[
    "regression", "diffusion", "quality", "mask", "steps", "embedder", "poses", "scene_reader"
]
KINDS: tuple[Kind, ...] = (
    "regression",
    "diffusion",
    "quality",
    "mask",
    "steps",
    "embedder",
    "poses",
    "scene_reader",
)

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the engine may ask of a diffusion model; the contract suite proves each claim.

    frame_subset: ``denoise`` accepts a subset of the clip's frames (the paper's mode F).
    block_sparse: spatial operations go through ``ops`` too, so tiles may be skipped (mode S).
    max_frames: the largest clip (inputs and targets) that ``layouts`` makes; ``None`` is no limit.
    """

    frame_subset: bool = False
    block_sparse: bool = False
    max_frames: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The pipeline's optional roles, built before the component that is handed them.

    ``None`` where the pipeline names none. A component that needs one raises ``ConfigError``.
    """

    embedder: "Embedder | None" = None


NO_PARTS = Parts()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSpec:
    """One component of a plugin, described without importing it.

    factory: ``"package.module:Class"``; called as ``Class(options, device, parts)``,
        or without the last where it takes no third argument.
    config: ``"package.module:Config"``, a subclass of
        :class:`sphinx_framework.options.Options`, or empty when it has none.
    licence: SPDX name of the code's licence; weights_licence: of the weights it loads ("" = none).
    trainer: ``"package.module:function"``, a :class:`sphinx_framework.protocols.StepsTrainer`, of a
        step policy that ``calibrate --policy NAME`` trains; empty for all others.
    non_commercial: code or weights forbid commercial use; ``--licence-policy permissive`` refuses.
    """

    kind: Kind
    name: str
    factory: str
    config: str = ""
    capabilities: Capabilities = field(default_factory=Capabilities)
    licence: str = "Apache-2.0"
    weights_licence: str = ""
    trainer: str = ""
    non_commercial: bool = False
    summary: str = ""
    api: int = API_VERSION


@hookspec
def sphinx_framework_components() -> list[ComponentSpec]:  # type: ignore[empty-body]
    """Return the specs of all components of this plugin."""


OWN_COMMANDS = frozenset(
    (
        "demo",
        "render",
        "plan",
        "import",
        "view",
        "measure",
        "warm",
        "calibrate",
        "evaluate",
        "sweep",
        "serve",
        "submit",
        "plugins",
        "describe",
        "check",
        "new-plugin",
        "configs",
        "schema",
        "doctor",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A command that a plugin adds to ``sphinx-nvs``.

    name: lower-case letters, digits and dashes; one of :data:`OWN_COMMANDS` is refused.
    run: ``"package.module:function"``, called with the parsed arguments; returns the exit code.
    arguments: ``"package.module:function"`` that is handed the command's ``ArgumentParser`` to add
        arguments to, or empty when it has none. ``--json`` and ``--debug`` are there already.
    """

    name: str
    run: str
    summary: str
    arguments: str = ""


@hookspec
def sphinx_framework_commands() -> list[CommandSpec]:  # type: ignore[empty-body]
    """Return the commands that this plugin adds to the command line."""


@hookspec
def sphinx_framework_observe(event: Any) -> None:
    """Receive every engine event of every request (metrics, tracing); must be fast."""
