"""``ddp`` as a step policy: the latest start that is expected to keep the quality."""

import base64
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import load, save
from torch import Tensor

from sphinx_framework.errors import ConfigError
from sphinx_framework.options import first_problem
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.types import QualityReport, Scene, StartSteps
from sphinx_framework_ddp.config import LearnedStepsConfig
from sphinx_framework_ddp.network import ExpectedQuality, state_of

SCHEMA = "sphinx-framework/ddp/1"


class PolicyFile(BaseModel):
    """The text form of a policy.

    starts: start steps that the arms stand for, of ``num_steps``; the last is the regression frame.
    margin: by how much an expected share must exceed the quality. weights: safetensors, base64.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_name: str = Field(alias="schema", pattern=f"^{SCHEMA}$")
    num_steps: int = Field(ge=1)
    starts: tuple[int, ...] = Field(min_length=2)
    margin: float = Field(ge=0, allow_inf_nan=False)
    weights: str


@dataclass(frozen=True, slots=True)
class LearnedPolicy:
    """A trained network with the grid it was trained on."""

    network: ExpectedQuality
    starts: tuple[int, ...]
    num_steps: int
    margin: float

    @torch.no_grad()
    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        """Start steps brought to a grid of ``num_steps``; quality 1 is full diffusion."""
        if quality >= 1:
            return StartSteps(steps=(0,) * len(report.ratio), notes=("quality 1: full walks",))
        # One target at a time: a batch may compute other last bits than a frame alone.
        states = zip(*(part.split(1) for part in state_of(report)), strict=True)
        expected = torch.cat([self.network(*state) for state in states])
        chosen = [
            self.starts[arm] * num_steps // self.num_steps
            for arm in latest_arms(expected, quality + self.margin)
        ]
        return StartSteps(
            steps=tuple(chosen),
            notes=(f"start steps by a trained network, with a margin of {self.margin:g}",),
        )

    def text(self) -> str:
        """The policy as TOML; equal policies give equal text."""
        weights = save({k: v.half().contiguous() for k, v in self.network.state_dict().items()})
        return (
            f'schema = "{SCHEMA}"\nnum_steps = {self.num_steps}\n'
            f"starts = {list(self.starts)}\nmargin = {self.margin!r}\n"
            f'weights = "{base64.b64encode(weights).decode()}"\n'
        )


def latest_arms(expected: Float[Tensor, "T K"], quality: float) -> list[int]:
    """Per target the last of the leading arms that keep the quality; the very last by itself.

    Arm 0, the whole walk, is always allowed. The last arm serves the regression frame.
    """
    keeps = expected >= quality
    keeps[:, 0] = True
    leading = keeps[:, :-1].int().cumprod(dim=1).sum(dim=1) - 1
    last = expected.shape[1] - 1
    return [last if bool(row[-1]) else int(arm) for row, arm in zip(keeps, leading, strict=True)]


def read_policy(path: Path) -> LearnedPolicy:
    """A policy from its file.

    Raises:
        ConfigError: the file is missing, or is no such policy.
    """
    hint = "Train one: sphinx-nvs calibrate --policy ddp --out FILE (see its --help)."
    try:
        file = PolicyFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
        starts: Sequence[int] = file.starts
        if list(starts) != sorted(set(starts)) or (starts[0], starts[-1]) != (0, file.num_steps):
            raise ValueError(f"starts {list(starts)} do not rise from 0 to {file.num_steps}")  # noqa: TRY301
        network = ExpectedQuality(len(starts))
        weights = load(base64.b64decode(file.weights, validate=True))
        network.load_state_dict({key: tensor.float() for key, tensor in weights.items()})
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_problem(error)}.", hint=hint) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.", hint=hint) from None
    # tomllib, base64, safetensors and torch raise many kinds for damaged text.
    except Exception as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{path}: is no trained policy: {told}.", hint=hint) from None
    return LearnedPolicy(
        network=network.eval().requires_grad_(False),
        starts=file.starts,
        num_steps=file.num_steps,
        margin=file.margin,
    )


class LearnedSteps:
    """The component: the policy of a file."""

    def __init__(
        self, config: LearnedStepsConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        """Raises :class:`ConfigError` for a file that is no policy."""
        self.policy = read_policy(Path(config.policy).expanduser())

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        """See :meth:`LearnedPolicy.start_steps`."""
        return self.policy.start_steps(report, scene, quality, num_steps)
