"""How step policies are trained on what ``calibrate`` measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from sphinx_framework.protocols.components import StepPolicy
from sphinx_framework.types import QualityReport, Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedScene:
    """One calibration scene: what a policy sees of it, and what every start step came to.

    report: with its coarse views. starts: the start steps tried, ascending; the last is
    ``num_steps``, the regression frame. kept: share of full diffusion's score by target and start.
    """

    name: str
    scene: Scene
    report: QualityReport
    num_steps: int
    starts: tuple[int, ...]
    kept: Float[Tensor, "T S"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedSteps:
    """A trained policy, ready to be asked, and the TOML text of the file that its options name."""

    policy: StepPolicy
    text: str


class StepsTrainer(Protocol):
    """Trains a step policy; what ``ComponentSpec.trainer`` names."""

    def __call__(self, scenes: Sequence[ObservedScene], *, seed: int) -> TrainedSteps:
        """Equal scenes and seeds give equal policies.

        Raises :class:`~sphinx_framework.errors.ConfigError` when the scenes cannot train one.
        """
        ...
