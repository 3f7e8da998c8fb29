"""The systems that an evaluation compares, as changes of one pipeline; all share its models."""

from dataclasses import dataclass, field
from typing import Any

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.engine import Engine
from sphinx_framework.policy.schedule import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One row of a table. ``plan`` and ``options`` change the planner and the diffusion model."""

    name: str
    mode: Mode
    quality: float = 0.95
    num_steps: int | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


DENSE = "diffusion"


def baselines(few_steps: tuple[int, ...] = (25, 10, 5, 2)) -> list[System]:
    """Regression, full diffusion, and the natural competitor: diffusion with fewer steps."""
    few = [System(name=f"diffusion, {n} steps", mode="diffusion", num_steps=n) for n in few_steps]
    return [
        System(name="regression", mode="regression"),
        System(name=DENSE, mode="diffusion"),
        *few,
    ]


def methods(modes: tuple[Mode, ...], qualities: tuple[float, ...]) -> list[System]:
    """The method at every mode and quality."""
    return [
        System(name=f"{mode} {quality:g}", mode=mode, quality=quality)
        for quality in qualities
        for mode in modes
    ]


def multistep(stride: int = 5) -> list[System]:
    """Few-step walks with DPM-Solver++(2M), for models whose option ``solver`` knows it."""
    second_order = {"solver": "dpmpp_2m"}
    plain = [
        System(
            name=f"diffusion, {n} steps, 2M", mode="diffusion", num_steps=n, options=second_order
        )
        for n in (10, 5)
    ]
    method = [
        System(
            name=f"{mode} 0.95, every {stride}th step, 2M",
            mode=mode,
            plan={"stride": stride, "refresh_every": 3},
            options=second_order,
        )
        for mode in ("coarse", "fine")
    ]
    return [*plain, *method]


def build_engines(base: PipelineConfig, systems: list[System], device: str) -> dict[str, Engine]:
    """One engine per system; components are built once per set of diffusion options."""
    parents: dict[str, Engine] = {}
    engines: dict[str, Engine] = {}
    for system in systems:
        key = repr(sorted(system.options.items()))
        if key not in parents:
            diffusion = base.pipeline["diffusion"]
            values = {"use": diffusion.use, **diffusion.options, **system.options}
            pipeline = {**base.pipeline, "diffusion": type(diffusion).model_validate(values)}
            changed = base.model_copy(update={"pipeline": pipeline})
            parents[key] = Engine.from_config(changed, device=device)
        parent = parents[key]
        changes = {
            "num_steps": system.num_steps or base.num_steps,
            "plan": base.plan.model_copy(update=system.plan),
        }
        engines[system.name] = Engine(
            parent.components, parent.config.model_copy(update=changes), parent.device
        )
    return engines
