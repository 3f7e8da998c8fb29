"""What the engine says while it works: enough to show progress and to deliver frames early."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from sphinx_framework.engine.result import RenderResult
from sphinx_framework.policy.schedule import MoveKind, Schedule
from sphinx_framework.types import CoarseViews, Objective, QualityReport, RefineMask

Served = Literal["regression", "refined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDone:
    """A stage of the road ended; ``seconds`` is its wall time."""

    stage: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CoarseReady:
    """The regression views are there: a first answer within moments."""

    coarse: CoarseViews


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """All decisions are made; diffusion has not started.

    objective: what the request's quality is a share of.
    """

    quality: QualityReport
    mask: RefineMask
    schedules: tuple[Schedule, ...]
    predicted_denoise_seconds: float | None
    predicted_seconds: float | None
    objective: Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """One denoising move ended; ``done`` of ``total`` moves over all clips.

    seconds: ``None`` on a device that works on by itself: its report has them.
    """

    clip: int
    action: str
    kind: MoveKind
    done: int
    total: int
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFinal:
    """A target will not change any more."""

    index: int
    image: Float[Tensor, "3 H W"]
    served: Served


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The request is done."""

    result: RenderResult


Event = StageDone | CoarseReady | Planned | StepDone | FrameFinal | Finished
