"""The systems that a study compares, as changes of one pipeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from sphinx_framework.config import PipelineConfig
from sphinx_framework.errors import ConfigError
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.registry import Registry

FEW_STEPS = (25, 10, 5, 2)
MULTISTEP_SOLVER = "dpmpp_2m"
DENSE = "diffusion"
REGRESSION = "regression"
FEWER_STEPS = "diffusion, fewer steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One row of a table.

    family: what the figures colour alike. changes: of the pipeline file, ``a.b`` -> value, as
    ``--set`` takes them.
    """

    name: str
    family: str
    mode: Mode
    quality: float
    changes: Mapping[str, Any] = field(default_factory=dict)


def baselines(config: PipelineConfig, few_steps: Sequence[int] = FEW_STEPS) -> list[System]:
    """Regression, full diffusion, and the natural competitor: diffusion with fewer steps."""
    few = [
        System(
            name=f"diffusion, {n} steps",
            family=FEWER_STEPS,
            mode="diffusion",
            quality=config.quality,
            changes={"num_steps": n},
        )
        for n in few_steps
        if n < config.num_steps
    ]
    return [
        System(name=REGRESSION, family=REGRESSION, mode="regression", quality=config.quality),
        System(name=DENSE, family=DENSE, mode="diffusion", quality=config.quality),
        *few,
    ]


def methods(modes: Sequence[Mode], qualities: Sequence[float]) -> list[System]:
    """The method at every mode and quality."""
    return [
        System(name=f"{mode} {quality:g}", family=mode, mode=mode, quality=quality)
        for quality in qualities
        for mode in modes
    ]


def multistep(config: PipelineConfig, stride: int = 5) -> list[System]:
    """Few-step walks with a second-order solver, of diffusion and of the method."""
    plain = [
        System(
            name=f"diffusion, {n} steps, 2M",
            family="diffusion, 2M",
            mode="diffusion",
            quality=config.quality,
            changes={"num_steps": n, "diffusion.solver": MULTISTEP_SOLVER},
        )
        for n in (10, 5)
        if n < config.num_steps
    ]
    modes: tuple[Mode, ...] = ("coarse", "fine")
    method = [
        System(
            name=f"{mode} {config.quality:g}, every {stride}th step, 2M",
            family=f"{mode}, 2M",
            mode=mode,
            quality=config.quality,
            changes={
                "plan.stride": stride,
                "plan.refresh_every": 3,
                "diffusion.solver": MULTISTEP_SOLVER,
            },
        )
        for mode in modes
        if stride < config.num_steps
    ]
    return [*plain, *method]


def has_multistep_solver(config: PipelineConfig, registry: Registry) -> bool:
    """Whether the diffusion component has an option ``solver`` that allows the second order."""
    component = config.pipeline["diffusion"]
    model = registry.options_model(registry.find("diffusion", component.use))
    if "solver" not in model.model_fields:
        return False
    try:
        values = {**component.options, "solver": MULTISTEP_SOLVER}
        registry.options("diffusion", component.use, values, "solver")
    except ConfigError:
        return False
    return True


def grid(
    modes: Sequence[Mode], qualities: Sequence[float], factors: Mapping[str, Sequence[Any]]
) -> list[System]:
    """Every combination of mode, quality and the values of further factors (``a.b`` keys)."""
    keys = list(factors)
    systems = []
    for mode, quality in product(modes, qualities):
        for values in product(*(factors[key] for key in keys)):
            changes = dict(zip(keys, values, strict=True))
            told = "".join(f", {key} {value}" for key, value in changes.items())
            systems.append(
                System(
                    name=f"{mode} {quality:g}{told}",
                    family=mode,
                    mode=mode,
                    quality=quality,
                    changes=changes,
                )
            )
    return systems
