"""Discovery of plugins: isolated, complete, and explicit about what is wrong.

Entry points are loaded one by one and hooks are called one by one, so that a broken plugin is
listed with its reason and never breaks the others. Nothing here imports torch.
"""

import inspect
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import pluggy
from pydantic import BaseModel, ValidationError

import sphinx_framework.plugin as hookspecs
from sphinx_framework.errors import (
    BrokenPluginError,
    ConfigError,
    SphinxError,
    UnknownComponentError,
    suggestion,
)
from sphinx_framework.options import Options
from sphinx_framework.plugin import (
    API_VERSION,
    ENTRY_POINT_GROUP,
    KINDS,
    NO_PARTS,
    PROJECT,
    ComponentSpec,
    Parts,
)

PLUGINS_VARIABLE = "SPHINX_FRAMEWORK_PLUGINS"
Status = Literal["ok", "broken", "blocked", "duplicate", "api mismatch"]
USUAL: tuple[Status, ...] = ("ok", "blocked")  # nothing to mend


class NoOptions(Options):
    """Options of a component that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRecord:
    """One discovered plugin and what became of it."""

    name: str
    distribution: str
    version: str
    status: Status
    reason: str = ""
    details: str = ""
    specs: tuple[ComponentSpec, ...] = ()


@dataclass(slots=True, kw_only=True)
class Registry:
    """Components by kind and name; build one with :meth:`from_entry_points` or from specs."""

    plugins: list[PluginRecord] = field(default_factory=list)
    manager: pluggy.PluginManager | None = None

    @classmethod
    def from_specs(cls, specs: Sequence[ComponentSpec], distribution: str = "given") -> "Registry":
        """A registry of just these components, without discovery."""
        record = PluginRecord(
            name=distribution,
            distribution=distribution,
            version="",
            status="ok",
            specs=tuple(specs),
        )
        return cls(plugins=[record])

    @classmethod
    def from_entry_points(cls, points: Iterable[EntryPoint] | None = None) -> "Registry":
        """Load every installed plugin, or those named in ``$SPHINX_FRAMEWORK_PLUGINS``."""
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(hookspecs)
        registry = cls(manager=manager)
        found = entry_points(group=ENTRY_POINT_GROUP) if points is None else points
        allowed = os.environ.get(PLUGINS_VARIABLE)
        names = None if allowed is None else {n.strip() for n in allowed.split(",")}
        owners: dict[tuple[str, str], str] = {}
        seen: dict[str, str] = {}
        for point in sorted(set(found), key=lambda p: (p.name, p.value)):
            record = _load(point, manager, names, seen)
            if record.status == "ok":
                record = _without_duplicates(record, owners)
            if record.status != "ok" and manager.get_plugin(point.name) is not None:
                manager.unregister(name=point.name)  # a refused plugin does not observe either
            registry.plugins.append(record)
        return registry

    @property
    def specs(self) -> list[ComponentSpec]:
        """All usable components."""
        return [spec for p in self.plugins if p.status == "ok" for spec in p.specs]

    def names(self, kind: str) -> list[str]:
        """Usable names of a kind."""
        return sorted(spec.name for spec in self.specs if spec.kind == kind)

    def distribution_of(self, spec: ComponentSpec) -> str:
        """``name version`` of the distribution that offers a component."""
        for plugin in self.plugins:
            if any(s is spec for s in plugin.specs):
                return f"{plugin.distribution} {plugin.version}".strip()
        return "unknown"

    def observe(self, event: Any) -> None:
        """Hand an event to every plugin that observes; one that raises is only logged."""
        if self.manager is None:
            return
        for implementation in self.manager.hook.sphinx_framework_observe.get_hookimpls():
            try:
                implementation.function(*[event][: len(implementation.argnames)])
            except Exception as error:
                from sphinx_framework.logs import get_logger

                get_logger("registry").warning(
                    "observer failed", plugin=implementation.plugin_name, error=repr(error)
                )

    def find(self, kind: str, name: str) -> ComponentSpec:
        """Return the spec; raises :class:`UnknownComponentError` or :class:`BrokenPluginError`."""
        if kind not in KINDS:
            raise UnknownComponentError(
                f"there is no component kind {kind!r}.", hint=f"Kinds: {', '.join(KINDS)}."
            )
        for spec in self.specs:
            if (spec.kind, spec.name) == (kind, name):
                return spec
        for plugin in self.plugins:
            named = plugin.name == name or any(
                (s.kind, s.name) == (kind, name) for s in plugin.specs
            )
            if plugin.status != "ok" and named:
                raise BrokenPluginError(
                    f"{kind} {name!r} comes from plugin {plugin.name!r} ({plugin.distribution} "
                    f"{plugin.version}), which is {plugin.status}: {plugin.reason}.",
                    hint="Details: sphinx-nvs plugins --verbose.",
                )
        known = self.names(kind)
        refused = [f"{p.name} ({p.status})" for p in self.plugins if p.status not in USUAL]
        raise UnknownComponentError(
            f"no {kind} component is named {name!r}.",
            hint=f"{suggestion(name, known)}Known: {', '.join(known) or 'none installed'}."
            + (f" Unusable plugins: {', '.join(refused)}." if refused else ""),
        )

    def options_model(self, spec: ComponentSpec) -> type[BaseModel]:
        """The pydantic model of a component's options (imports its light config module)."""
        if not spec.config:
            return NoOptions
        return self._resolve(spec, spec.config)

    def options(self, kind: str, name: str, values: dict[str, Any], where: str) -> BaseModel:
        """Validate a component's options; errors name the file and table in ``where``."""
        model = self.options_model(self.find(kind, name))
        try:
            return model.model_validate(values)
        except ValidationError as error:
            raise ConfigError(
                *_first_problem(error, where, name, list(model.model_fields))
            ) from None

    def build(
        self, kind: str, name: str, options: BaseModel, device: Any, parts: Parts = NO_PARTS
    ) -> Any:
        """Import the factory and call it; unexpected failures become :class:`BrokenPluginError`."""
        spec = self.find(kind, name)
        factory = self._resolve(spec, spec.factory)
        if not _takes(factory, options, device, parts):
            raise BrokenPluginError(
                f"{kind} {name!r} from {self.distribution_of(spec)}: {spec.factory} cannot be "
                f"called with (options, device, parts).",
                hint=f"API {API_VERSION} builds components so; an older plugin needs an update.",
            )
        try:
            return factory(options, device, parts)
        except SphinxError:
            raise
        except (Exception, SystemExit) as error:
            raise BrokenPluginError(
                f"{kind} {name!r} from {self.distribution_of(spec)} could not be built: "
                f"{type(error).__name__}: {error}.",
                hint="See the traceback with --debug, and report it to the plugin's author.",
            ) from error

    def _resolve(self, spec: ComponentSpec, target: str) -> Any:
        module, _, attribute = target.partition(":")
        try:
            with redirect_stdout(sys.stderr):
                return getattr(import_module(module), attribute)
        except (Exception, SystemExit) as error:
            missing = isinstance(error, ModuleNotFoundError)
            raise BrokenPluginError(
                f"{spec.kind} {spec.name!r} comes from {self.distribution_of(spec)}, whose "
                f"{target!r} failed to load: {type(error).__name__}: {error}.",
                hint=(
                    "Install what is missing, for example by installing the plugin again."
                    if missing
                    else "See the traceback with --debug."
                ),
            ) from error


def _takes(factory: Any, *given: Any) -> bool:
    """Whether a factory's signature takes these arguments; one without a signature may."""
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*given)
    except TypeError:
        return False
    return True


def _load(
    point: EntryPoint,
    manager: pluggy.PluginManager,
    allowed: set[str] | None,
    seen: dict[str, str],
) -> PluginRecord:
    """Load one entry point and ask it for its components, whatever it does."""
    distribution = point.dist.name if point.dist else "unknown"
    version = point.dist.version if point.dist else ""

    def record(
        status: Status, reason: str = "", details: str = "", specs: Any = ()
    ) -> PluginRecord:
        return PluginRecord(
            name=point.name,
            distribution=distribution,
            version=version,
            status=status,
            reason=reason,
            details=details,
            specs=tuple(specs),
        )

    if allowed is not None and point.name not in allowed:
        return record("blocked", f"not named in ${PLUGINS_VARIABLE}")
    if point.name in seen:
        return record("duplicate", f"plugin name {point.name!r} is taken by {seen[point.name]}")
    seen[point.name] = distribution
    try:
        # What a plugin prints while it loads must not mix with the answer of a command on stdout.
        with redirect_stdout(sys.stderr):
            module = point.load()
        hook = getattr(module, "sphinx_framework_components", None)
        if hook is None:
            return record("broken", "it implements no sphinx_framework_components()")
        manager.register(module, name=point.name)
        manager.check_pending()
        with redirect_stdout(sys.stderr):
            specs = list(hook())
    except BaseException as error:  # a plugin may even call sys.exit at import
        if isinstance(error, KeyboardInterrupt):
            raise
        if manager.get_plugin(point.name) is not None:
            manager.unregister(name=point.name)
        return record("broken", f"{type(error).__name__}: {error}", traceback.format_exc())
    wrong = [s for s in specs if not isinstance(s, ComponentSpec) or s.kind not in KINDS]
    if wrong:
        return record("broken", f"it returned something that is no component spec: {wrong[0]!r}")
    if any(spec.api != API_VERSION for spec in specs):
        return record(
            "api mismatch", f"it was made for another API than {API_VERSION}", specs=specs
        )
    return record("ok", specs=specs)


def _without_duplicates(record: PluginRecord, owners: dict[tuple[str, str], str]) -> PluginRecord:
    """Refuse a plugin that offers a component which another one offers already."""
    for spec in record.specs:
        owner = owners.get((spec.kind, spec.name))
        if owner is not None:
            return PluginRecord(
                name=record.name,
                distribution=record.distribution,
                version=record.version,
                status="duplicate",
                reason=f"{spec.kind} {spec.name!r} is offered by {owner} already",
                specs=record.specs,
            )
    owners.update({(s.kind, s.name): record.distribution for s in record.specs})
    return record


def _first_problem(error: ValidationError, where: str, name: str, known: list[str]) -> tuple[str]:
    """One sentence about the first thing pydantic found, with a suggestion for a misspelt key."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = suggestion(key, known)
        return (
            f"{where}: unknown option {key!r} for {name!r}. {near}"
            f"Known: {', '.join(known) or 'none'}.",
        )
    return (f"{where}: option {key!r} of {name!r}: {problem['msg']}, got {problem['input']!r}.",)
