"""Pipeline files: TOML, validated in two stages (the core's skeleton, then each plugin's options).

A pipeline names one component per role; the rest of a role's table are that component's options,
checked by the component's own model. Values may be overridden by ``--set a.b=value``.
"""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sphinx_framework.errors import ConfigError, suggestion
from sphinx_framework.options import MAX_SIDE, Options, Side, first_problem, known_keys
from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.evidence_config import EvidenceConfig
from sphinx_framework.policy.memory import Footprint
from sphinx_framework.policy.plan import PlanConfig
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.registry import Registry
from sphinx_framework.texts import read_text

ROLES: dict[str, str] = {
    "regression": "regression",
    "diffusion": "diffusion",
    "quality": "quality",
    "mask": "mask",
    "steps": "steps",
    "embedder": "embedder",
    "poses": "poses",
}
OPTIONAL_ROLES = ("embedder", "poses")
# More than any processor has; beyond, the system refuses to start them and the process dies.
MOST_THREADS = 1024


class ComponentConfig(BaseModel):
    """One role: ``use`` names the component, every other key is an option of it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    use: str = Field(description="name of an installed component of this role's kind")

    @property
    def options(self) -> dict[str, Any]:
        """The component's own options."""
        return dict(self.model_extra or {})


class EngineConfig(Options):
    """How the engine runs."""

    cache_budget_mb: float | None = Field(
        default=None,
        gt=0,
        description="memory for latent caches; a request that needs more is refused",
    )
    cache_on: Literal["device", "host"] = Field(
        default="device",
        description="where latent caches lie; on the host, every partial step copies what it reads",
    )
    offload: bool = Field(
        default=False,
        description="keep only the component that is at work on the device, the others on the host",
    )
    compile: Literal["inductor", "aot_eager", "eager"] | None = Field(
        default=None,
        description="backend of torch.compile for the diffusion network, one compiled function per "
        "kind of step; the first request of each takes long",
    )
    graphs: bool = Field(
        default=False,
        description="replay steps of at most three frames from CUDA graphs; the latent cache and "
        "constants of a request get buffers that never move, for as much memory again",
    )
    memory_gb: float | None = Field(
        default=None,
        gt=0,
        description="memory of the device to fit in: sets offload, cache_on and the precision, or "
        "refuses with the numbers",
    )
    retry: bool = Field(
        default=False, description="re-run frames whose achieved ratio missed the target"
    )
    budget_ms: float | None = Field(
        default=None, gt=0, description="predicted request time to stay within; starts move later"
    )
    budget_joules: float | None = Field(
        default=None, gt=0, description="predicted energy to stay within; starts move later"
    )
    energy: Literal["auto", "zeus", "nvml", "rapl", "none"] = Field(
        default="auto", description="meter of a request's energy; auto takes what the device has"
    )
    strict: bool = Field(default=False, description="refuse to do less than the mode asks for")
    threads: int | None = Field(
        default=None, ge=1, le=MOST_THREADS, description="CPU threads; none keeps torch's choice"
    )


class CompositeConfig(Options):
    """How decoded latents and the regression render become the final frame."""

    carry_detail: bool = Field(
        default=False,
        description="add to decoded frames what the autoencoder loses of the regression render, "
        "weighted by its opacity; costs one more decode of the refined frames",
    )
    finish: bool = Field(
        default=False,
        description="let the diffusion model make served frames of refined ones and their renders, "
        "instead of a share of the render; for models that know how",
    )
    render_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the regression render in a refined frame, times how late it started: "
        "none at step 0, so full diffusion stays what it is",
    )


class PipelineConfig(Options):
    """A whole pipeline."""

    name: str = Field(
        default="pipeline",
        description="for messages and reports; the name of its file where none is given",
    )
    summary: str = Field(default="", description="what it is, in a line, for the list of pipelines")
    mode: Mode = Field(
        default="selective",
        description="coarse, fine or selective; or one of the baselines diffusion and regression",
    )
    quality: float = Field(
        default=0.95, gt=0, le=1, description="quality factor against full diffusion"
    )
    num_steps: int = Field(
        default=50, ge=1, le=1000, description="denoising steps of the diffusion model's full grid"
    )
    gamma: float = Field(
        default=0.5, gt=0, description="exponent of the reference score (paper eq. 2)"
    )
    size: tuple[Side, Side] | None = Field(
        default=None,
        description=f"(height, width) to fit scenes to, 1 to {MAX_SIDE} pixels each; none keeps "
        "the scene's",
    )
    fit: Literal["crop", "pad", "stretch"] = Field(
        default="crop", description="how scenes get to that size"
    )
    max_targets: int = Field(default=1000, ge=1, description="requests for more are refused")
    pipeline: dict[str, ComponentConfig]
    plan: PlanConfig = Field(default=PlanConfig(), description="how start steps become a schedule")
    composite: CompositeConfig = Field(
        default=CompositeConfig(), description="how decoded latents and renders become final frames"
    )
    evidence: EvidenceConfig = Field(
        default=EvidenceConfig(),
        description="when a target is not refined because the inputs prove too little of it",
    )
    engine: EngineConfig = Field(
        default=EngineConfig(), description="memory, budgets, device and speed"
    )
    cost: CostModel = Field(
        default=CostModel(), description="seconds of steps and stages, as measured on a machine"
    )
    memory: Footprint | None = Field(
        default=None, description="what it needs of a device's memory; engine.memory_gb reads it"
    )

    @model_validator(mode="after")
    def _roles(self) -> "PipelineConfig":
        for role in self.pipeline:
            if role not in ROLES:
                known = ", ".join(ROLES)
                raise ValueError(f"unknown role {role!r}. {suggestion(role, ROLES)}Known: {known}")
        missing = [r for r in ROLES if r not in self.pipeline and r not in OPTIONAL_ROLES]
        if missing:
            raise ValueError(f"no component chosen for: {', '.join(missing)}")
        return self

    def validate_options(self, registry: Registry, where: str) -> dict[str, BaseModel]:
        """Second stage: every component's options through its own model, by role."""
        return {
            role: registry.options(
                ROLES[role], component.use, component.options, f"{where}, [pipeline.{role}]"
            )
            for role, component in self.pipeline.items()
        }


def shipped_configs() -> dict[str, Path]:
    """Pipelines that come with the framework, by name."""
    folder = Path(str(files("sphinx_framework") / "configs"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_config(source: str | Path, overrides: Sequence[str] = ()) -> PipelineConfig:
    """Load a shipped pipeline by name or a TOML file by path, then apply ``a.b=value`` overrides.

    One that chooses another component (``steps.use=fixed``) drops the options of the file's.
    Raises :class:`ConfigError` that names the file, the key and what is allowed there.
    """
    path = _locate(str(source))
    data = _read_toml(path)
    data.setdefault("name", path.stem)
    _apply(data, overrides)
    given = f", with {', '.join(overrides)}" if overrides else ""
    return config_from_dict(data, f"{path}{given}")


def overridden(config: PipelineConfig, overrides: Sequence[str]) -> PipelineConfig:
    """A config with ``a.b=value`` overrides, checked like those of a file."""
    if not _each(overrides):
        return config
    data = config.model_dump()
    _apply(data, overrides)
    return config_from_dict(data, config.name)


def _each(overrides: Sequence[str]) -> Sequence[str]:
    """Overrides one by one; a text or a dictionary would be taken apart in silence."""
    if isinstance(overrides, list | tuple) and all(isinstance(one, str) for one in overrides):
        return overrides
    raise ConfigError(
        f"overrides are a list of texts KEY.PATH=VALUE, got {overrides!r}.",
        hint='For example overrides=["plan.stride=5", "num_steps=20"].',
    )


def load_cost(source: str | Path) -> CostModel:
    """Load the ``[cost]`` table that ``sphinx-nvs measure`` wrote."""
    if not str(source).strip():
        raise ConfigError("the cost table's path is empty.", hint="Name a file; see measure --out.")
    data = _read_toml(Path(source))
    try:
        return CostModel.model_validate(data["cost"])
    except KeyError:
        raise ConfigError(f"{source}: has no [cost] table.") from None
    except ValidationError as error:
        raise ConfigError(f"{source}, [cost]: {first_problem(error)}.") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path, "utf-8-sig"))  # Notepad writes a mark
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not a valid TOML file: {error}.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None


def config_from_dict(data: dict[str, Any], where: str = "pipeline") -> PipelineConfig:
    """First stage of validation, with errors that name the key."""
    try:
        return PipelineConfig.model_validate(data)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = known_keys(PipelineConfig, problem["loc"])
            near = suggestion(str(problem["loc"][-1]), known)
            raise ConfigError(
                f"{where}: unknown key {key!r}.", hint=f"{near}Known: {', '.join(known)}."
            ) from None
        detail = problem["msg"].removeprefix("Value error, ")
        at = f"key {key!r}: " if key else ""
        got = f", got {problem['input']!r}" if key and problem["type"] != "missing" else ""
        raise ConfigError(f"{where}: {at}{detail}{got}.") from None


def _locate(source: str) -> Path:
    shipped = shipped_configs()
    if source in shipped:
        return shipped[source]
    path = Path(source)
    if path.is_file() or (path.exists() and not path.is_dir()):
        return path
    if path.suffix == ".toml" or "/" in source:
        raise ConfigError(f"{source}: no such config file.", hint="See: sphinx-nvs configs.")
    raise ConfigError(
        f"there is no shipped config named {source!r}.",
        hint=f"{suggestion(source, shipped)}Known: {', '.join(shipped)}, or a .toml file's path.",
    )


def _apply(data: dict[str, Any], overrides: Sequence[str]) -> None:
    """Apply ``a.b=value`` in turn; another component takes none of the options of the one before.

    A role's name may stand for ``pipeline.role``.
    """
    parsed = [(override, *parse_override(override)) for override in _each(overrides)]
    paths = [(override, _path(key), value) for override, key, value in parsed]
    for override, path, value in sorted(paths, key=lambda one: not _chooses(one[1])):
        table = data
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError(f"--set {override}: {part!r} is a value, not a table.")
        if _chooses(path) and table.get("use") != value:
            table.clear()
        table[path[-1]] = value


def _path(key: str) -> list[str]:
    parts = key.split(".")
    if parts[0] in ROLES and len(parts) > 1:  # `quality=0.9` alone is the quality asked for
        return ["pipeline", *parts]
    return parts


def _chooses(path: Sequence[str]) -> bool:
    """Whether a path names the component of a role."""
    return len(path) == 3 and path[0] == "pipeline" and path[2] == "use"


def parse_override(override: str) -> tuple[str, Any]:
    """Split ``a.b=value``; the value is TOML, or the text itself where it is none."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.strip().split(".")):
        raise ConfigError(f"--set {override}: expected KEY.PATH=VALUE, for example plan.stride=5.")
    try:
        return key.strip(), tomllib.loads(f"value = {text}")["value"]
    except RecursionError:
        raise ConfigError(f"--set {key.strip()}: its value is nested too deeply.") from None
    except tomllib.TOMLDecodeError:
        return key.strip(), text.strip()
