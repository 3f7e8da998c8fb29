"""The systems that a study compares, as changes of one pipeline."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from sphinx_framework.config import PipelineConfig
from sphinx_framework.errors import ConfigError
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.registry import Registry

FEW_STEPS = (25, 10, 5, 2)
Key = tuple[Mode, float, str]
EULER, MULTISTEP_SOLVER = "euler", "dpmpp_2m"
SOLVER_NAMES = {EULER: "Euler", MULTISTEP_SOLVER: "2M"}
DENSE = "diffusion"
REGRESSION = "regression"
FEWER_STEPS = "diffusion, fewer steps"
OTHER_NOISE = "diffusion, other noise"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One row of a table.

    family: what the figures colour alike. changes: of the pipeline file, ``a.b`` -> value, as
    ``--set`` takes them. other_noise: draw noise that no other system gets.
    """

    name: str
    family: str
    mode: Mode
    quality: float
    changes: Mapping[str, Any] = field(default_factory=dict)
    other_noise: bool = False

    @property
    def solver(self) -> str:
        """The solver it asks for; empty is the pipeline's own."""
        return str(self.changes.get("diffusion.solver", ""))

    @property
    def key(self) -> Key:
        """What a claim looks a system up by."""
        return (self.mode, self.quality, self.solver)

    @property
    def plain(self) -> bool:
        """Whether it is the pipeline as it stands, by the noise that all systems get."""
        return not self.changes and not self.other_noise

    @property
    def work(self) -> tuple[Mode, str]:
        """Dense systems of equal work have it in common: all changes but the solver."""
        rest = {key: value for key, value in self.changes.items() if key != "diffusion.solver"}
        return (self.mode, json.dumps(rest, sort_keys=True))


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


def noise_floor(config: PipelineConfig) -> System:
    """Full diffusion once more, by other noise: how far it reproduces its own score."""
    return System(
        name=OTHER_NOISE,
        family=OTHER_NOISE,
        mode="diffusion",
        quality=config.quality,
        other_noise=True,
    )


def competitors(systems: Sequence[System]) -> dict[str, list[str]]:
    """Names of the dense systems by kind: by the pipeline's solver, and by every other solver."""
    kinds: dict[str, list[str]] = {FEWER_STEPS: []}
    for system in systems:
        if system.mode == "diffusion" and system.family != OTHER_NOISE:
            own = system.family in (DENSE, FEWER_STEPS)
            kinds.setdefault(FEWER_STEPS if own else system.family, []).append(system.name)
    return kinds


def methods(modes: Sequence[Mode], qualities: Sequence[float]) -> list[System]:
    """The method at every mode and quality."""
    return [
        System(name=f"{mode} {quality:g}", family=mode, mode=mode, quality=quality)
        for quality in qualities
        for mode in modes
    ]


def alternative_solver(config: PipelineConfig, registry: Registry) -> str | None:
    """The solver that the pipeline does not use, if its diffusion component can choose solvers."""
    component = config.pipeline["diffusion"]
    model = registry.options_model(registry.find("diffusion", component.use))
    if "solver" not in model.model_fields:
        return None
    used = component.options.get("solver", model.model_fields["solver"].default)
    other = MULTISTEP_SOLVER if used == EULER else EULER
    try:
        values = {**component.options, "solver": other}
        registry.options("diffusion", component.use, values, "solver")
    except ConfigError:
        return None
    return other


def with_solver(
    config: PipelineConfig,
    solver: str,
    stride: int = 5,
    few_steps: Sequence[int] = (10, 5, 2),
    *,
    method: bool = True,
) -> list[System]:
    """Diffusion in few steps, and the method, by another solver than the pipeline's.

    Euler visits every step, as the paper does; the second-order solver every ``stride``-th.
    method: without it only diffusion; rules that state plans say steps and solver themselves.
    """
    name = SOLVER_NAMES[solver]
    plain = [
        System(
            name=f"diffusion, {n} steps, {name}",
            family=f"diffusion, {name}",
            mode="diffusion",
            quality=config.quality,
            changes={"num_steps": n, "diffusion.solver": solver},
        )
        for n in few_steps
        if n < config.num_steps
    ]
    walk: dict[str, Any] = {"plan.stride": 1, "plan.max_steps": None, "plan.refresh_every": 5}
    told = "every step"
    if solver == MULTISTEP_SOLVER:
        walk = {"plan.stride": stride, "plan.max_steps": None, "plan.refresh_every": 3}
        told = f"every {stride}th step"
    modes: tuple[Mode, ...] = ("coarse", "fine")
    walked = [
        System(
            name=f"{mode} {config.quality:g}, {told}, {name}",
            family=f"{mode}, {name}",
            mode=mode,
            quality=config.quality,
            changes={**walk, "diffusion.solver": solver},
        )
        for mode in modes
        if method and stride < config.num_steps
    ]
    return [*plain, *walked]


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
