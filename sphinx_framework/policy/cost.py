"""What a schedule will take: a linear model of step times, fitted from measured steps.

The model decides whether block-sparse steps pay and predicts a request's latency before diffusion
starts. Without a measurement it assumes time proportional to the computed share, with the
overheads below, and says so.
"""

from collections.abc import Sequence
from operator import mul
from typing import Literal, Self

import numpy as np
from pydantic import Field

from sphinx_framework.options import Options
from sphinx_framework.policy.cost_sizes import Measure, Seconds, SizeCost, grown
from sphinx_framework.policy.guidance import expected_guides
from sphinx_framework.policy.schedule import Full, Partial, Schedule

StepKind = Literal["full", "dense", "frames", "tiles"]


class StepSample(Options):
    """One measured step: ``share`` of the clip computed (frames, or frames times tile fraction)."""

    kind: StepKind
    share: Seconds
    seconds: Seconds


class CostModel(Options):
    """Seconds of a step: ``full * (base + slope * share)`` by kind.

    full: seconds of a recording full step. dense: a full step that records nothing, over ``full``.

    The stages around the loop are those of one measured request: encoding (with conditioning) and
    decoding by frame, the rest by request.

    pixels: of a frame, as measured, or as asked for by :meth:`at`; 0: not known, so sizes do not
    count. sizes: more measurements, which seconds are interpolated between; without them, time is
    proportional to pixels and frames. watts: mean power while steps were timed. one_branch: a step
    of one guidance branch, over one of both. quality_of_renders: where nothing is refined, renders
    are not scored a second time.
    measured: where the numbers come from; empty for the built-in assumption, whose unit is the
    full step (relative cost only, so no latency is predicted).
    """

    full: Measure = Field(default=1.0, gt=0, description="seconds of a recording full step")
    dense: Seconds = Field(
        default=1.0, description="a full step that records nothing, over that of one that does"
    )
    frames_base: Seconds = Field(
        default=0.02, description="a step of frames without any, over a full step"
    )
    frames_slope: Seconds = Field(
        default=1.0,
        description="growth of a step of frames with their share, over a full step",
    )
    tiles_base: Seconds = Field(
        default=0.04, description="a step of tiles without any, over a full step"
    )
    tiles_slope: Measure = Field(
        gt=0,
        default=1.6,
        description="growth of a step of tiles with their share, over a full step",
    )
    encode_per_frame: Seconds | None = Field(
        default=None, description="seconds to encode and condition a frame"
    )
    decode_per_frame: Seconds | None = Field(default=None, description="seconds to decode a frame")
    regression_seconds: Seconds | None = Field(
        default=None, description="seconds of the regression stage of a request"
    )
    quality_seconds: Seconds | None = Field(
        default=None, description="seconds of all scores of a request"
    )
    quality_of_renders: Measure = Field(
        default=1.0,
        ge=0,
        le=1,
        description="share of quality_seconds of a request that refines nothing",
    )
    plan_seconds: Seconds | None = Field(
        default=None, description="seconds from scores to schedules"
    )
    one_branch: Measure = Field(
        default=0.5,
        gt=0,
        le=1,
        description="a step of one guidance branch, over one of both; half of the operations are "
        "counted, seconds were not measured",
    )
    watts: Measure | None = Field(
        default=None, gt=0, description="mean power while steps were timed"
    )
    num_frames: int = Field(
        default=0, ge=0, description="frames of the clip whose steps were timed"
    )
    pixels: int = Field(
        default=0, ge=0, description="of a frame, as timed; 0: not known, sizes do not count"
    )
    measured: str = Field(
        default="", description="where the numbers come from; empty for the built-in assumption"
    )
    sizes: tuple[SizeCost, ...] = Field(
        default=(),
        description="the same at several sizes and numbers of frames, to predict between",
    )

    def at(self, pixels: int) -> Self:
        """The table for frames of another size."""
        if not self.pixels or pixels == self.pixels:
            return self
        changed: dict[str, float] = {"pixels": pixels}
        if not self.sizes:
            changed["full"] = self.full * pixels / self.pixels
        for name in ("encode_per_frame", "decode_per_frame"):
            now = getattr(self, name)
            if now is not None:
                own = [(s.pixels, getattr(s, name)) for s in self.sizes] or [(self.pixels, now)]
                changed[name] = grown(own, pixels)
        if not self.sizes:
            for name in ("regression_seconds", "quality_seconds"):
                now = getattr(self, name)
                changed |= {} if now is None else {name: now * pixels / self.pixels}
        return self.model_copy(update=changed)

    def of_request(self, name: str, frames: int) -> float | None:
        """Seconds of a stage that is counted by request, over so many frames in all."""
        now: float | None = getattr(self, name)
        if now is None or not self.pixels or not frames:
            return now
        if not self.sizes:
            shared = name == "plan_seconds" or not self.num_frames
            return now if shared else now * frames / self.num_frames
        return grown([(s.amount, getattr(s, name)) for s in self.sizes], self.pixels * frames)

    def _scale(self, frames: int) -> float:
        """A full step of a clip, over ``full``."""
        if self.sizes:
            own = [(s.amount, s.full) for s in self.sizes]
            return grown(own, self.pixels * frames) / self.full
        return frames / self.num_frames if self.num_frames else 1.0

    def share_seconds(self, kind: StepKind, share: float) -> float:
        """Seconds of one step, in the unit of ``full``."""
        if kind == "full":
            return self.full
        if kind == "dense":
            return self.full * self.dense
        if kind == "frames":
            return self.full * (self.frames_base + self.frames_slope * share)
        return self.full * (self.tiles_base + self.tiles_slope * share)

    def tiles_pay(self, share: float, fraction: float) -> bool:
        """Whether tiles covering ``fraction`` of the active ``share`` beat the whole frames."""
        return self.share_seconds("tiles", share * fraction) < self.share_seconds("frames", share)

    def break_even(self, share: float = 1.0) -> float:
        """Tile fraction of the active frames at which tiles stop paying, in [0, 1]."""
        at = (self.frames_base + self.frames_slope * share - self.tiles_base) / (
            self.tiles_slope * share
        )
        return min(1.0, max(0.0, at))

    def step_seconds(self, action: Full | Partial, schedule: Schedule) -> float:
        """Predicted seconds of one action, at the clip's number of frames."""
        scale = self._scale(schedule.num_frames)
        if isinstance(action, Full):
            return scale * self.share_seconds("full" if action.record else "dense", 1.0)
        share = len(action.frames) / schedule.num_frames
        if not action.sparse:
            return scale * self.share_seconds("frames", share)
        return scale * self.share_seconds("tiles", share * region_fraction(schedule, action))

    def denoise_seconds(self, schedule: Schedule) -> float | None:
        """Predicted seconds of the loop, or ``None`` when nothing was measured."""
        if not self.measured:
            return None
        seconds = [self.step_seconds(action, schedule) for action in schedule.actions]
        if schedule.guidance is None:
            return sum(seconds)
        moves = ((action.step, isinstance(action, Full)) for action in schedule.actions)
        guides = expected_guides(schedule.guidance, moves, schedule.num_steps)
        branches = (1.0 if guide == "both" else self.one_branch for guide in guides)
        return sum(map(mul, seconds, branches))


def region_fraction(schedule: Schedule, action: Partial) -> float:
    """Active share of the tiles of the action's frames."""
    assert schedule.region is not None
    return float(schedule.region[list(action.frames)].float().mean())


def fit_cost(samples: Sequence[StepSample], num_frames: int, measured: str) -> CostModel:
    """Least-squares fit of the linear model; a kind without samples keeps the assumption.

    Raises ``ValueError`` when no full step was measured.
    """
    full = [s.seconds for s in samples if s.kind == "full"]
    if not full:
        raise ValueError("a cost model needs at least one measured full step")
    unit = float(np.median(full))
    values: dict[str, object] = {"num_frames": num_frames, "measured": measured, "full": unit}
    dense = [s.seconds for s in samples if s.kind == "dense"]
    if dense:
        values["dense"] = float(np.median(dense)) / unit
    for kind, base_name, slope_name in (
        ("frames", "frames_base", "frames_slope"),
        ("tiles", "tiles_base", "tiles_slope"),
    ):
        rows = [(s.share, s.seconds / unit) for s in samples if s.kind == kind]
        if len({share for share, _ in rows}) >= 2:
            shares, times = np.array(rows).T
            slope, base = np.polyfit(shares, times, 1)
            values[base_name], values[slope_name] = float(max(base, 0.0)), float(max(slope, 1e-6))
    return CostModel.model_validate(values)
