"""One engine per system; components that several systems have in common are built once."""

from collections.abc import Sequence
from typing import Any

from sphinx_framework.config import ROLES, PipelineConfig, config_from_dict
from sphinx_framework.engine.components import build_components, choose_device
from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import ConfigError
from sphinx_framework.registry import Registry
from sphinx_framework.study.evaluate.systems import System


def changed_config(config: PipelineConfig, system: System) -> PipelineConfig:
    """The pipeline with a system's changes; a role's name may stand for ``pipeline.role``.

    Raises :class:`ConfigError` that names the system and the wrong key or value.
    """
    data = config.model_dump(mode="json")
    for key, value in system.changes.items():
        parts = key.split(".")
        path = ["pipeline", *parts] if parts[0] in ROLES else parts
        table: Any = data
        for part in path[:-1]:
            table = table.get(part) if isinstance(table, dict) else None
        if not isinstance(table, dict):
            raise ConfigError(f"{key}: the pipeline has no such table.")
        table[path[-1]] = value
    return config_from_dict(data, f"system {system.name!r}")


class EngineFactory:
    """Builds engines that share every component with equal options (weights exist once)."""

    def __init__(self, registry: Registry, device: str) -> None:
        self.registry = registry
        self.device = choose_device(device)
        self._built: dict[str, Any] = {}

    def engines(self, config: PipelineConfig, systems: Sequence[System]) -> dict[str, Engine]:
        """An engine per system name; all options are checked before anything is built."""
        configs = {system.name: changed_config(config, system) for system in systems}
        for name, changed in configs.items():
            changed.validate_options(self.registry, f"system {name!r}")
        return {name: self.engine(changed) for name, changed in configs.items()}

    def engine(self, config: PipelineConfig) -> Engine:
        """One engine."""
        components = build_components(
            config, self.registry, self.device, config.name, built=self._built
        )
        return Engine(components, config, self.device)
