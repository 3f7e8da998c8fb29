"""Discovery of plugins: isolated, complete, and explicit about what is wrong.

Entry points are loaded one by one and asked one by one, so that a broken plugin is listed with its
reason and never breaks the others. Nothing here imports torch.
"""

import os
import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint
from typing import Any, Literal

from sphinx_framework.errors import raised, suggestion
from sphinx_framework.installed import MEND, Damaged, installed_points, named
from sphinx_framework.plugin import (
    API_VERSION,
    ENTRY_POINT_GROUP,
    KINDS,
    OWN_COMMANDS,
    Capabilities,
    CommandSpec,
    ComponentSpec,
)
from sphinx_framework.registry.hooks import Hooks
from sphinx_framework.registry.import_watch import allowed_seconds, watched_import
from sphinx_framework.version import __version__

PLUGINS_VARIABLE = "SPHINX_FRAMEWORK_PLUGINS"
COMMAND_NAME = re.compile("[a-z][a-z0-9-]*")
COMPONENT_NAME = re.compile(r"\w[\w.+-]*")
TARGET = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")
Status = Literal["ok", "broken", "blocked", "duplicate", "api mismatch", "absent"]
USUAL: tuple[Status, ...] = ("ok", "blocked")  # nothing to mend
# The core's own components: discovered as a plugin's are, whatever else is installed or left out.
CORE = "sphinx-framework"
CORE_POINT = EntryPoint(
    name="formats", value="sphinx_framework.scenes.plugin", group=ENTRY_POINT_GROUP
)
# Distributions of this project are asked first: a name of theirs is not lost to a newcomer.
OURS = frozenset(
    {
        "sphinx-framework-clip",
        "sphinx-framework-colmap",
        "sphinx-framework-dust3r",
        "sphinx-framework-ddp",
        "sphinx-framework-diffusers",
        "sphinx-framework-efficient-lvsm",
        "sphinx-framework-ffgs",
        "sphinx-framework-klogic",
        "sphinx-framework-lite",
        "sphinx-framework-masks",
        "sphinx-framework-musiq",
        "sphinx-framework-mvsplat",
        "sphinx-framework-seva",
        "sphinx-framework-sharp",
        "sphinx-framework-splat-file",
        "sphinx-framework-videoscene",
        "sphinx-framework-viewcrafter",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One component or command of a usable plugin that is not used, and why."""

    spec: ComponentSpec | CommandSpec
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRecord:
    """One discovered plugin and what became of it; ``specs`` and ``commands`` are used."""

    name: str
    distribution: str
    version: str
    status: Status
    reason: str = ""
    details: str = ""
    specs: tuple[ComponentSpec, ...] = ()
    refused: tuple[Refused, ...] = ()
    commands: tuple[CommandSpec, ...] = ()

    @property
    def origin(self) -> str:
        """Distribution and version."""
        return f"{self.distribution} {self.version}".strip()


@dataclass(slots=True)
class Discovery:
    """Loads entry points; ``owners`` are the plugins of names and components so far."""

    hooks: Hooks = field(default_factory=Hooks)
    records: list[PluginRecord] = field(default_factory=list)
    owners: dict[tuple[str, str], str] = field(default_factory=dict)

    def run(self, points: Iterable[EntryPoint] | None) -> list[PluginRecord]:
        """Load every installed plugin, or those that ``$SPHINX_FRAMEWORK_PLUGINS`` leaves."""
        allowed_seconds()  # said once when it is none, not by every plugin
        found = points
        if found is None:
            installed, damaged = installed_points(ENTRY_POINT_GROUP)
            found = (CORE_POINT, *installed)
            self.records += map(_unreadable, damaged)
        for point in sorted(set(found), key=_precedence):
            record, hook_name = self._judged(point)
            if record.status != "ok":
                self.hooks.unregister(hook_name)  # a refused plugin does not observe either
            self.records.append(record)
        self.records += _absent({record.name for record in self.records})
        return sorted(self.records, key=lambda r: (r.name, r.distribution))

    def _judged(self, point: EntryPoint) -> tuple[PluginRecord, str]:
        """What becomes of one entry point, and the name under which its hooks are called."""
        record = PluginRecord(
            name=point.name,
            distribution=_distribution(point),
            version=_version(point),
            status="ok",
        )
        blocked = _blocked(point.name)
        if blocked:
            return replace(record, status="blocked", reason=blocked), point.name
        same = [earlier for earlier in self.records if earlier.name == point.name]
        if any(earlier.distribution == record.distribution for earlier in same):
            reason = f"plugin name {point.name!r} is taken by {record.distribution} itself"
            return replace(record, status="duplicate", reason=reason), f"{point.name} again"
        # A name that two distributions chose is ambiguous to nobody: components have names of
        # their own. Only the hooks need another one.
        hook_name = f"{point.name} of {record.distribution}" if same else point.name
        return self._without_taken_names(self._asked(point, record, hook_name)), hook_name

    def _asked(self, point: EntryPoint, record: PluginRecord, hook_name: str) -> PluginRecord:
        """Load one entry point and ask it for its components, whatever it does."""
        what = f"plugin {point.name!r} ({record.origin})"
        hint = f"To leave it out: {PLUGINS_VARIABLE}=-{point.name}."
        try:
            with watched_import(what, hint):
                plugin = point.load()
                self.hooks.register(plugin, hook_name)
                specs = self.hooks.answers("sphinx_framework_components", hook_name)
                commands = self.hooks.answers("sphinx_framework_commands", hook_name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may even call sys.exit at import
            reason = raised(error)
            return replace(record, status="broken", reason=reason, details=traceback.format_exc())
        if specs is None and commands is None and not self.hooks.observes(hook_name):
            reason = "it implements no hook of sphinx_framework.plugin, marked with @hookimpl"
            return replace(record, status="broken", reason=reason)
        record = replace(record, specs=tuple(specs or ()), commands=tuple(commands or ()))
        problem = _problem(record)
        if problem:
            return replace(record, status="broken", reason=problem, specs=(), commands=())
        if any(spec.api != API_VERSION for spec in record.specs):
            reason = f"it was made for another API than {API_VERSION}"
            return replace(record, status="api mismatch", reason=reason)
        return record

    def _without_taken_names(self, record: PluginRecord) -> PluginRecord:
        """Refuse what another plugin offers under the same name already, and only that."""
        if record.status != "ok":
            return record
        kept: list[ComponentSpec] = []
        refused: list[Refused] = []
        for spec in record.specs:
            owner = self.owners.setdefault((spec.kind, spec.name), record.distribution)
            if owner == record.distribution and not any(
                (s.kind, s.name) == (spec.kind, spec.name) for s in kept
            ):
                kept.append(spec)
            else:
                reason = f"{spec.kind} {spec.name!r} is offered by {owner} already"
                refused.append(Refused(spec=spec, reason=reason))
        commands: list[CommandSpec] = []
        for command in record.commands:
            first = CORE if command.name in OWN_COMMANDS else record.distribution
            owner = self.owners.setdefault(("command", command.name), first)
            if owner == record.distribution and command.name not in [c.name for c in commands]:
                commands.append(command)
            else:
                reason = f"command {command.name!r} is offered by {owner} already"
                refused.append(Refused(spec=command, reason=reason))
        record = replace(record, refused=tuple(refused), commands=tuple(commands))
        if refused and not kept and not commands:
            return replace(record, status="duplicate", reason=refused[0].reason)
        return replace(record, specs=tuple(kept))


def _precedence(point: EntryPoint) -> tuple[bool, bool, str, str]:
    """Our own first, then by name: the same order wherever and whenever they were installed."""
    name = _distribution(point)
    return (name != CORE, name not in OURS, point.name, point.value)


def _distribution(point: EntryPoint) -> str:
    if point == CORE_POINT:
        return CORE
    return named(point.dist)[0]


def _version(point: EntryPoint) -> str:
    if point == CORE_POINT:
        return __version__
    return named(point.dist)[1]


def _unreadable(damaged: Damaged) -> PluginRecord:
    """A distribution of which nobody can say whether it offers anything to us."""
    blocked = _blocked(damaged.distribution)
    return PluginRecord(
        name=damaged.distribution,
        distribution=damaged.distribution,
        version=damaged.version,
        status="blocked" if blocked else "broken",
        reason=blocked or damaged.reason,
        details="" if blocked else MEND,
    )


def _wished() -> set[str]:
    """What the environment names, with a minus or without."""
    return {name.strip() for name in os.environ.get(PLUGINS_VARIABLE, "").split(",")} - {""}


def _absent(known: set[str]) -> list[PluginRecord]:
    """What the environment names and nobody is called."""
    names = sorted({name.removeprefix("-") for name in _wished()} - known)
    return [
        PluginRecord(
            name=name,
            distribution=f"${PLUGINS_VARIABLE}",
            version="",
            status="absent",
            reason=f"no installed plugin has that name. {suggestion(name, known)}".strip(),
        )
        for name in names
    ]


def _blocked(name: str) -> str:
    """Why the environment leaves a plugin out: not named, or named with a minus; or nothing."""
    if os.environ.get(PLUGINS_VARIABLE) is None:
        return ""
    names = _wished()
    if f"-{name}" in names:
        return f"left out by ${PLUGINS_VARIABLE}"
    only = {n for n in names if not n.startswith("-")}
    all_but = (names and not only) or name == CORE_POINT.name
    return "" if all_but or name in only else f"not named in ${PLUGINS_VARIABLE}"


def _problem(record: PluginRecord) -> str:
    """What is wrong with the declarations themselves, or nothing."""
    declared: tuple[Any, ...] = record.specs
    for spec in declared:
        if not isinstance(spec, ComponentSpec):
            return f"it returned something that is no component spec: {spec!r}"
        if spec.kind not in KINDS:
            near = suggestion(str(spec.kind), KINDS)
            kinds = ", ".join(KINDS)
            return f"its component {spec.name!r} is of kind {spec.kind!r}. {near}Kinds: {kinds}"
        texts: tuple[Any, ...] = (spec.name, spec.factory, spec.config, spec.licence)
        if not _all_texts(texts) or not isinstance(spec.capabilities, Capabilities):
            return f"a component spec of it holds something else than it should: {spec!r}"
        if not COMPONENT_NAME.fullmatch(spec.name):
            return f"its component's name {spec.name!r} has more in it than letters, digits and _.-"
        for target in filter(None, (spec.factory, spec.config, spec.trainer)):
            if not TARGET.fullmatch(target):
                return f"its component {spec.name!r} says {target!r} where module:name is expected"
    added: tuple[Any, ...] = record.commands
    for command in added:
        if not isinstance(command, CommandSpec) or not COMMAND_NAME.fullmatch(str(command.name)):
            return f"it returned something that is no command spec: {command!r}"
    return ""


def _all_texts(texts: tuple[Any, ...]) -> bool:
    return all(isinstance(text, str) for text in texts) and bool(texts[0].strip())
