"""Latency and energy budgets: start later, uniformly, until the predicted time fits.

Pure functions over start steps and a prediction. A budget lowers the quality that was asked for by
as little as it can: the order of the targets and their distances in steps stay as decided.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.schedule import Schedule

Prediction = Callable[[tuple[int, ...]], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgeted:
    """Start steps under a budget.

    shift: how many steps later than decided; 0 when the decision fits as it is.
    asked_seconds: prediction of the decided starts; predicted_seconds: of these ones.
    met: whether the prediction fits. When nothing fits, the starts are the latest ones allowed.
    fixed: the mode decides the starts alone, as baselines do; a budget is but held against it.
    """

    starts: tuple[int, ...]
    shift: int
    budget_seconds: float
    asked_seconds: float
    predicted_seconds: float
    met: bool
    fixed: bool = False

    def note(self) -> str:
        """One sentence for the report."""
        asked, now = f"{self.asked_seconds:.3g} s", f"{self.predicted_seconds:.3g} s"
        budget = f"budget of {self.budget_seconds:.3g} s"
        if not self.met:
            why = ", and this mode moves no start" if self.fixed else " with the latest starts"
            return f"the {budget} cannot be met: {now} predicted{why}"
        if self.shift == 0:
            return f"the {budget} is met without change: {now} predicted"
        return (
            f"the {budget} moved every start {self.shift} steps later ({asked} predicted before, "
            f"{now} after): the quality target may be missed"
        )


def fit_budget(
    starts: Sequence[int],
    num_steps: int,
    predict: Prediction,
    budget_seconds: float,
    *,
    spacing: int = 1,
    latest: int | None = None,
) -> Budgeted:
    """Shift all starts later by the fewest multiples of ``spacing`` that fit the budget.

    starts: decided start step per target, ``num_steps`` serves the regression frame; such targets
        stay as they are.
    predict: seconds of a request with given start steps (plan, lower, cost model). It need not be
        monotone: the first shift that fits is taken.
    spacing: step grid that is visited (``plan.stride``).
    latest: largest start that denoises or serves (``plan.max_start``); ``None`` is ``num_steps``.
    Raises ``ValueError`` for starts off the grid or a budget that is no positive number.
    """
    if not (math.isfinite(budget_seconds) and budget_seconds > 0):
        raise ValueError(f"a budget must be a positive number of seconds, got {budget_seconds}")
    if any(not 0 <= start <= num_steps for start in starts):
        raise ValueError(f"start steps {tuple(starts)} are not in 0..{num_steps}")
    limit = num_steps if latest is None else min(latest, num_steps)
    decided = tuple(starts)
    asked = predict(decided)
    shift, shifted, predicted = 0, decided, asked
    while predicted > budget_seconds and any(start < limit for start in shifted):
        shift += spacing
        shifted = tuple(_later(start, shift, limit, num_steps) for start in decided)
        predicted = predict(shifted)
    return Budgeted(
        starts=shifted,
        shift=shift,
        budget_seconds=budget_seconds,
        asked_seconds=asked,
        predicted_seconds=predicted,
        met=predicted <= budget_seconds,
    )


def held_against(starts: Sequence[int], predict: Prediction, budget_seconds: float) -> Budgeted:
    """The starts of a mode that moves none, and whether they fit the budget."""
    decided = tuple(starts)
    seconds = predict(decided)
    return Budgeted(
        starts=decided,
        shift=0,
        budget_seconds=budget_seconds,
        asked_seconds=seconds,
        predicted_seconds=seconds,
        met=seconds <= budget_seconds,
        fixed=True,
    )


def energy_budget_seconds(joules: float, watts: float) -> float:
    """Seconds that an energy budget pays for, at a measured mean power of the device.

    Raises ``ValueError`` unless both are positive numbers.
    """
    if not all(math.isfinite(value) and value > 0 for value in (joules, watts)):
        raise ValueError(f"energy and power must be positive numbers, got {joules} J and {watts} W")
    return joules / watts


def request_seconds(cost: CostModel, schedules: Sequence[Schedule]) -> tuple[float, list[str]]:
    """Predicted seconds of a request, and the stages that the cost model knows nothing about.

    Those stages count as 0, so the caller must say that they are left out.
    Raises ``ValueError`` when the cost model was not measured.
    """
    total, unknown = 0.0, []
    for schedule in schedules:
        seconds = cost.denoise_seconds(schedule)
        if seconds is None:
            raise ValueError("a budget needs a measured cost model")
        total += seconds
    run = [schedule for schedule in schedules if schedule.actions]
    frames = sum(schedule.num_frames for schedule in schedules)
    encoded = sum(schedule.num_frames for schedule in run)
    decoded = sum(start < s.num_steps for s in run for start in s.starts)
    scores = cost.of_request("quality_seconds", frames)
    if scores is not None and not decoded:
        scores *= cost.quality_of_renders
    stages = {
        "regression": cost.of_request("regression_seconds", frames),
        "quality": scores,
        "plan": cost.of_request("plan_seconds", frames),
        "encode": _times(cost.encode_per_frame, encoded),
        "decode": _times(cost.decode_per_frame, decoded),
    }
    for stage, stage_seconds in stages.items():
        if stage_seconds is None:
            unknown.append(stage)
        else:
            total += stage_seconds
    return total, unknown


def _later(start: int, shift: int, limit: int, num_steps: int) -> int:
    """A target that is served as it is stays so, even where ``limit`` lies below ``num_steps``."""
    return start if start == num_steps else max(start, min(start + shift, limit))


def _times(each: float | None, count: int) -> float | None:
    return None if each is None else each * count
