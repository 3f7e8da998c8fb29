"""The systems that are compared, as changes of one pipeline; all share the same models."""

from dataclasses import dataclass
from typing import Any

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.engine import Engine


@dataclass(frozen=True, kw_only=True)
class System:
    """A row of the table."""

    name: str
    mode: str
    quality: float = 0.95
    num_steps: int = 50
    solver: str = "euler"
    plan: dict[str, Any] | None = None


def compared(qualities: tuple[float, ...] = (0.98, 0.95, 0.90)) -> list[System]:
    """Every honest baseline, then the method."""
    systems = [System(name="regression", mode="regression")]
    systems += [
        System(name=f"diffusion, {n} steps", mode="diffusion", num_steps=n)
        for n in (50, 25, 10, 5, 2)
    ]
    systems += [
        System(name=f"diffusion, {n} steps, 2M", mode="diffusion", num_steps=n, solver="dpmpp_2m")
        for n in (10, 5)
    ]
    systems += [
        System(name=f"Sphinx {mode} {q:g}", mode=mode, quality=q)
        for q in qualities
        for mode in ("coarse", "fine", "selective")
    ]
    systems += [
        System(
            name=f"Sphinx {mode} 0.95, every 5th step, 2M",
            mode=mode,
            solver="dpmpp_2m",
            plan={"stride": 5, "refresh_every": 3},
        )
        for mode in ("coarse", "fine")
    ]
    return systems


def engines(base: PipelineConfig, systems: list[System], device: str) -> dict[str, Engine]:
    """One engine per system; models are built once per solver."""
    built: dict[str, Engine] = {}
    made: dict[str, Engine] = {}
    for system in systems:
        if system.solver not in built:
            diffusion = base.pipeline["diffusion"]
            options = {**diffusion.options, "solver": system.solver}
            changed = type(diffusion).model_validate({"use": diffusion.use, **options})
            pipeline = {**base.pipeline, "diffusion": changed}
            built[system.solver] = Engine.from_config(
                base.model_copy(update={"pipeline": pipeline}), device=device
            )
        parent = built[system.solver]
        config = parent.config.model_copy(
            update={
                "num_steps": system.num_steps,
                "plan": base.plan.model_copy(update=system.plan or {}),
            }
        )
        made[system.name] = Engine(parent.components, config, parent.device)
    return made
