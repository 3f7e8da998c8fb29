"""How the seconds of stages grow with the size of a request, from measurements at several sizes."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated

from pydantic import Field

from sphinx_framework.options import Options

Point = tuple[float, float]  # amount, seconds
Measure = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[Measure, Field(ge=0)]
STEEPEST = 2.0  # attention over everything: time as the square of the amount


class SizeCost(Options):
    """One measurement: seconds of a full step and of the stages, at one size and frame count.

    pixels: of a frame. frames: latents of the clip. Stages as in :class:`.cost.CostModel`.
    """

    pixels: int = Field(gt=0, description="of a frame")
    frames: int = Field(gt=0, description="latents of the clip")
    full: Measure = Field(gt=0, description="seconds of a recording full step")
    encode_per_frame: Seconds = Field(description="seconds")
    decode_per_frame: Seconds = Field(description="seconds")
    regression_seconds: Seconds = Field(description="seconds of the regression stage")
    quality_seconds: Seconds = Field(description="seconds of the scores")
    plan_seconds: Seconds = Field(description="seconds of masks and plan")

    @property
    def amount(self) -> int:
        """Pixels of the whole clip: what its cost grows with."""
        return self.pixels * self.frames


def grown(points: Sequence[Point], amount: float) -> float:
    """Seconds at an amount: straight lines between measurements, in logarithms of both.

    A slope of 1 is proportional, 2 is attention over everything; between measurements it is what
    they say. Beyond them the last slope goes on, within 0 and 2. One point alone: proportional.
    Raises ``ValueError`` for no point.
    """
    if not points:
        raise ValueError("nothing was measured")
    by_amount = groupby(sorted(points), key=lambda point: point[0])
    known = [
        (math.log(key), sum(math.log(max(s, 1e-9)) for _, s in group) / count)
        for key, group, count in ((k, g, len(g)) for k, g in ((k, list(g)) for k, g in by_amount))
    ]
    at = math.log(amount)
    if len(known) == 1:
        return math.exp(known[0][1] + at - known[0][0])
    right = next((i for i in range(1, len(known)) if at <= known[i][0]), len(known) - 1)
    (x0, y0), (x1, y1) = known[right - 1], known[right]
    slope = (y1 - y0) / (x1 - x0)
    if not x0 <= at <= x1:
        slope = min(max(slope, 0.0), STEEPEST)
    near_x, near_y = (x0, y0) if at < x1 else (x1, y1)
    return math.exp(near_y + slope * (at - near_x))
