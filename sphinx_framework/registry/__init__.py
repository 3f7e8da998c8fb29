"""Components of the installed plugins by kind and name: looked up, their options checked, built.

Nothing here imports torch; a component's module is imported when it is built.
"""

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any

from pydantic import BaseModel, ValidationError

from sphinx_framework.errors import (
    BrokenPluginError,
    ConfigError,
    SphinxError,
    UnknownComponentError,
    raised,
    suggestion,
)
from sphinx_framework.options import Options, known_keys
from sphinx_framework.plugin import KINDS, NO_PARTS, CommandSpec, ComponentSpec, Parts
from sphinx_framework.registry.discovery import PLUGINS_VARIABLE, USUAL, Discovery, PluginRecord
from sphinx_framework.registry.hooks import Hooks
from sphinx_framework.registry.import_watch import ImportHangsError, allowed_seconds, watched_import

# A component's module may import all of torch and more; the declaring one is light.
HEAVIER = 4


class NoOptions(Options):
    """Options of a component that has none."""


@dataclass(slots=True, kw_only=True)
class Registry:
    """Components by kind and name; build one with :meth:`from_entry_points` or from specs."""

    plugins: list[PluginRecord] = field(default_factory=list)
    hooks: Hooks = field(default_factory=Hooks)

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
        """Load every installed plugin, or those that ``$SPHINX_FRAMEWORK_PLUGINS`` leaves."""
        discovery = Discovery()
        return cls(plugins=discovery.run(points), hooks=discovery.hooks)

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
                return plugin.origin
        return "unknown"

    def also_offered(self, kind: str, name: str) -> list[str]:
        """``name version`` of distributions whose component of that name is not used."""
        return [
            plugin.origin
            for plugin in self.plugins
            for refused in plugin.refused
            if isinstance(refused.spec, ComponentSpec)
            and (refused.spec.kind, refused.spec.name) == (kind, name)
        ]

    @property
    def observed(self) -> bool:
        """Whether any plugin observes."""
        return self.hooks.observed

    def observe(self, event: Any) -> None:
        """Hand an event to every plugin that observes; one that raises is only logged."""
        self.hooks.observe(event)

    @property
    def commands(self) -> list[CommandSpec]:
        """What plugins add to the command line."""
        return [command for p in self.plugins if p.status == "ok" for command in p.commands]

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
        model = self._resolve(spec, spec.config)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise BrokenPluginError(
                f"{spec.kind} {spec.name!r} comes from {self.distribution_of(spec)}, whose "
                f"{spec.config!r} is no pydantic model of its options."
            )
        return model

    def options(self, kind: str, name: str, values: dict[str, Any], where: str) -> BaseModel:
        """Validate a component's options; errors name the file and table in ``where``."""
        model = self.options_model(self.find(kind, name))
        try:
            return model.model_validate(values)
        except ValidationError as error:
            raise ConfigError(*_first_problem(error, where, name, model)) from None
        except Exception as error:  # a plugin's own validator
            raise BrokenPluginError(
                f"{where}: the options of {name!r} could not be checked: {raised(error)}."
            ) from error

    def build(
        self, kind: str, name: str, options: BaseModel, device: Any, parts: Parts = NO_PARTS
    ) -> Any:
        """Import the factory and call it; unexpected failures become :class:`BrokenPluginError`.

        A factory that has no use for ``parts`` may leave the parameter out.
        """
        spec = self.find(kind, name)
        factory = self._resolve(spec, spec.factory)
        given: tuple[Any, ...] = (
            (options, device, parts) if _takes(factory, options, device, parts) else ()
        )
        if not given and _takes(factory, options, device):
            given = options, device
        if not given:
            raise BrokenPluginError(
                f"{kind} {name!r} from {self.distribution_of(spec)}: {spec.factory} cannot be "
                f"called with (options, device, parts), nor with (options, device).",
                hint="Components are built so: see docs/writing-a-plugin.md, 'Build'.",
            )
        try:
            return factory(*given)
        except SphinxError as error:
            if repr(name) not in error.message:
                error.told_by(f"{kind} {name!r} from {self.distribution_of(spec)}")
            raise
        except (Exception, SystemExit, GeneratorExit) as error:
            raise BrokenPluginError(
                f"{kind} {name!r} from {self.distribution_of(spec)} could not be built: "
                f"{raised(error)}.",
                hint="See the traceback with --debug, and report it to the plugin's author.",
            ) from error

    def trainer(self, name: str) -> Any:
        """What ``calibrate --policy`` trains a step policy with; raises :class:`ConfigError`."""
        spec = self.find("steps", name)
        if not spec.trainer:
            able = [s.name for s in self.specs if s.trainer]
            raise ConfigError(
                f"the step policy {name!r} is not trained from samples.",
                hint=f"Policies that are: {', '.join(able) or 'none installed'}. Without --policy, "
                "calibrate fits rules for klogic.",
            )
        return self._resolve(spec, spec.trainer)

    def _resolve(self, spec: ComponentSpec, target: str) -> Any:
        module, _, attribute = target.partition(":")
        try:
            with watched_import(
                f"{target!r} of {self.distribution_of(spec)}",
                f"Set {PLUGINS_VARIABLE} to leave plugins out.",
                longest=HEAVIER * allowed_seconds(),
            ):
                return getattr(import_module(module), attribute)
        except (Exception, SystemExit, ImportHangsError) as error:
            missing = isinstance(error, ModuleNotFoundError)
            raise BrokenPluginError(
                f"{spec.kind} {spec.name!r} comes from {self.distribution_of(spec)}, whose "
                f"{target!r} failed to load: {raised(error)}.",
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


def _first_problem(
    error: ValidationError, where: str, name: str, model: type[BaseModel]
) -> tuple[str]:
    """One sentence about the first thing pydantic found, with a suggestion for a misspelt key."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = known_keys(model, problem["loc"])
        near = suggestion(str(problem["loc"][-1]), known)
        return (
            f"{where}: unknown option {key!r} for {name!r}. {near}"
            f"Known: {', '.join(known) or 'none'}.",
        )
    if problem["type"] == "missing":
        return (f"{where}: {name!r} needs the option {key!r}.",)
    return (f"{where}: option {key!r} of {name!r}: {problem['msg']}, got {problem['input']!r}.",)
