"""What a request returns: images, the decisions behind them, and the typed report."""

from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from sphinx_framework.policy.schedule import MoveKind, Schedule
from sphinx_framework.types import CoarseViews, RefineMask, Scene


class Closed(BaseModel):
    """Base of the report's tables: unknown keys are a mistake."""

    model_config = ConfigDict(extra="forbid")


class FrameReport(Closed):
    """Why one target came out as it did. Scores are the estimator's; ratios are paper eq. 2."""

    index: int
    score: float
    reference: float
    ratio: float
    start_step: int = Field(description="first denoising step; num_steps means not denoised")
    steps: int = Field(description="solver steps planned over the rest")
    mask_fraction: float = Field(description="share of pixels that the mask policy marked")
    steps_run: int
    achieved_score: float
    achieved_ratio: float
    served: Literal["regression", "refined"]
    evidence: float | None = Field(
        description="share of what the inputs prove that the refined frame kept; none where it was "
        "not refined"
    )
    lost: float | None = Field(
        description="dB that the refined frame probably lost against its render (below 0: gained); "
        "none where it was not refined or the quality component cannot tell"
    )
    psnr: float | None = Field(description="dB against ground truth, where there is any")
    ssim: float | None = Field(description="structural similarity to ground truth, where any")
    lpips: float | None = Field(
        description="perceptual distance to ground truth (AlexNet; smaller is closer), where any "
        "and the package lpips and its weights are on this machine"
    )
    reason: str | None = Field(description="why a frame is served as rendered; none if refined")
    full_ratio: float | None = Field(
        description="ratio that full diffusion reaches on calibration frames like this one; none "
        "where the rules do not know"
    )
    missed: bool = Field(
        description="objective paper: achieved_ratio is below the quality target's share of "
        "full_ratio (of 1 where that is none); any objective: refinement lost the evidence"
    )


class Counts(Closed):
    """Executed work: a frame step is one frame computed in one denoising step."""

    full_steps: int
    partial_steps: int
    frame_steps: int
    frame_steps_dense: int = Field(description="frame steps of dense diffusion on these clips")


class Seconds(Closed):
    """Wall time by stage. ``total`` leaves out model loading (``load_models``)."""

    load_models: float = 0.0
    load: float = 0.0
    regression: float = 0.0
    quality: float = 0.0
    plan: float = 0.0
    encode: float = 0.0
    denoise: float = 0.0
    decode: float = 0.0
    write: float = 0.0
    total: float = 0.0


class StepTrace(Closed):
    """One executed move."""

    clip: int
    step: int
    kind: MoveKind
    frames: int
    rows: int
    seconds: float


class Report(Closed):
    """``report.json``: every decision of a request, and what it cost."""

    schema_: Literal["sphinx-framework/report/1"] = Field(
        default="sphinx-framework/report/1", alias="schema"
    )
    config: dict[str, Any]
    scene: str
    seed: int
    device: str
    versions: dict[str, str]
    licences: list[dict[str, Any]]
    mode: str
    quality_target: float
    objective: Literal["paper", "truth"] = Field(
        description="what quality_target is a share of: full diffusion's score (paper), or the "
        "best similarity to ground truth that any plan reached on calibration scenes (truth)"
    )
    threads: int = Field(description="CPU threads of torch; frames/ has other bytes with others")
    num_steps: int
    cluster: int | None
    frames: list[FrameReport]
    schedule: str
    counts: Counts
    seconds: Seconds
    predicted_denoise_seconds: float | None
    predicted_seconds: float | None = Field(
        description="of all stages without loading and writing; none where one was not measured"
    )
    pace: float = Field(
        description="what the cost table's seconds were multiplied by in the predictions: actual "
        "over predicted seconds of the engine's earlier requests, 1 before the first"
    )
    cost_model: str
    cache_bytes_peak: int
    energy_joules: float | None
    energy_note: str
    trace: list[StepTrace]
    notes: list[str]
    warnings: list[str]

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    def to_json(self) -> str:
        """The file's text."""
        return self.model_dump_json(indent=2, by_alias=True) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RenderResult:
    """A finished request; tensors are on the CPU."""

    images: Float[Tensor, "T 3 H W"]
    coarse: CoarseViews
    mask: RefineMask
    scene: Scene
    schedules: tuple[Schedule, ...]
    report: Report
