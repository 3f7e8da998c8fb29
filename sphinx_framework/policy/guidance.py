"""When classifier-free guidance needs its second branch: policy, pure and torch-free.

A guided model runs its network for two branches, with and without the condition. Their difference
is small at some noise levels, and changes slowly from step to step. So a step may leave guidance
out (Kynkäänniemi et al. 2024), or take the difference that an earlier full pass has found, and run
one branch alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from sphinx_framework.options import Options
from sphinx_framework.policy.drift import Pace

Guide = Literal["both", "kept", "none"]


class GuidanceConfig(Options):
    """Which steps run both branches of guidance; the defaults are all of them.

    Predicted times and budgets count one branch as half of a step. How fast a difference moves
    nobody knows before: with ``change`` they assume that full passes run both.
    """

    interval: tuple[float, float] = Field(
        default=(0.0, 1.0),
        description="share of the grid, from noisy to clean, within which steps are guided; full "
        "passes outside of it, and the partial steps after them, run the conditional branch alone",
    )
    reuse: int = Field(
        default=1,
        ge=1,
        description="steps that the difference of the branches is used for once it is computed, by "
        "a full pass; partial steps then run one branch, until the next full pass at least",
    )
    change: float | None = Field(
        default=None,
        gt=0,
        description="reuse the difference only as long as it moves by at most this share of its "
        "size, by the pace at which it moved last; measuring it waits for the device once a full "
        "pass of both branches",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        first, last = self.interval
        if not 0 <= first < last <= 1:
            raise ValueError(f"interval {list(self.interval)}: expected 0 <= first < last <= 1")
        if self.change is not None and self.reuse == 1:
            raise ValueError("change limits a reuse of several steps: set reuse, too")
        return self

    @property
    def thinned(self) -> bool:
        """Whether any step may run one branch."""
        return self.interval != (0.0, 1.0) or self.reuse > 1


@dataclass(frozen=True, slots=True)
class Found:
    """The step at which the difference was computed, and its pace since the time before."""

    step: int
    pace: Pace | None = None


def guide_of_full(config: GuidanceConfig, step: int, num_steps: int, found: Found | None) -> Guide:
    """What a full pass runs; ``found``: of the last difference, if there is one."""
    first, last = config.interval
    if not first * num_steps <= step < last * num_steps:
        return "none"
    if found is None or config.reuse == 1 or step - found.step >= config.reuse:
        return "both"
    if config.change is None:
        return "kept"
    lasts = found.pace is not None and found.pace.lasts(step - found.step, config.change)
    return "kept" if lasts else "both"


def expected_guides(
    config: GuidanceConfig, steps: Iterable[tuple[int, bool]], num_steps: int
) -> Iterator[Guide]:
    """What the moves of a schedule are expected to run: ``(step, whether a full pass)`` of each."""
    found: Found | None = None
    last: Guide = "both"
    for step, full in steps:
        if not full:
            yield guide_of_partial(config, last)
            continue
        last = guide_of_full(config, step, num_steps, found)
        found = Found(step) if last == "both" else found
        yield last


def guide_of_partial(config: GuidanceConfig, full: Guide) -> Guide:
    """What a partial step runs after a full pass that ran ``full``."""
    if full == "none":
        return "none"
    return "kept" if config.reuse > 1 else "both"
