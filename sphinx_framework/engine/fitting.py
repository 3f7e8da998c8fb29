"""A pipeline made to fit the memory of a device, before anything is loaded."""

from collections.abc import Mapping
from typing import Any

import torch

from sphinx_framework.config import PipelineConfig, overridden
from sphinx_framework.errors import ConfigError
from sphinx_framework.policy.memory import Demand, MemoryPlan, plan_memory
from sphinx_framework.registry import Registry


def fitted(
    config: PipelineConfig, registry: Registry, device: torch.device, where: str
) -> tuple[PipelineConfig, MemoryPlan | None]:
    """The config with the keys that make it fit ``engine.memory_gb``, and the plan.

    Without that key it is as it was.

    Raises :class:`ConfigError`: no way fits, the device is the CPU, or nothing is known of the
    pipeline's memory.
    """
    memory = config.engine.memory_gb
    if memory is None:
        return config, None
    if config.memory is None:
        raise ConfigError(
            f"{where} has no [memory] table: what it needs of a device's memory is not known.",
            hint="benchmarks/footprints.py counts one; without it set engine.offload and "
            "engine.cache_on yourself.",
        )
    if device.type == "cpu":
        raise ConfigError(
            "a plan for a device's memory cannot be made for the CPU: idle components and caches "
            "would be moved to where they are.",
            hint="Leave --memory out, or choose a device.",
        )
    plan = _plan(config, registry, where, memory)
    return overridden(config, plan.overrides(config.memory, memory)), plan


def _plan(config: PipelineConfig, registry: Registry, where: str, memory: float) -> MemoryPlan:
    assert config.memory is not None
    options = config.validate_options(registry, where)["diffusion"]
    precision = getattr(options, "dtype", None)
    return plan_memory(config.memory, demand_of(config, half=precision != "float32"), memory)


def demand_of(config: PipelineConfig, *, half: bool) -> Demand:
    """What a pipeline is asked for; ``half``: its diffusion model runs in half precision."""
    assert config.memory is not None
    given: Mapping[str, Any] = config.pipeline["diffusion"].options
    return Demand(
        size=config.size or config.memory.size,
        frames=int(given.get("clip_frames", config.memory.frames)),
        mode=config.mode,
        full_precision=not half,
        graphs=config.engine.graphs,
    )
