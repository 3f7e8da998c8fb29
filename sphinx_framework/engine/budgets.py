"""Budgets of a request: later starts where the predicted time or energy is too much."""

from collections.abc import Iterator

from sphinx_framework.config import PipelineConfig
from sphinx_framework.errors import ConfigError
from sphinx_framework.policy.budget import (
    Budgeted,
    Prediction,
    energy_budget_seconds,
    fit_budget,
    held_against,
    request_seconds,
)
from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.schedule import Mode, Schedule


def budgeted(
    config: PipelineConfig, mode: Mode, starts: list[int], predict: Prediction
) -> Budgeted | None:
    """Later starts, where the pipeline has a budget; a baseline's stay, and it is told."""
    budget = _budget_seconds(config)
    if budget is None:
        return None
    if mode in ("diffusion", "regression"):
        return held_against(starts, predict, budget)
    return fit_budget(
        starts,
        config.num_steps,
        predict,
        budget,
        spacing=config.plan.stride,
        latest=config.plan.max_start,
    )


def _budget_seconds(config: PipelineConfig) -> float | None:
    """The tighter of the latency and the energy budget, in seconds.

    Raises :class:`ConfigError` without a measured cost table: nothing could be predicted.
    """
    milliseconds, joules = config.engine.budget_ms, config.engine.budget_joules
    if milliseconds is None and joules is None:
        return None
    hint = "Run sphinx-nvs measure, and pass its file with --cost."
    if not config.cost.measured:
        raise ConfigError("a budget needs a measured cost table.", hint=hint)
    budgets = [] if milliseconds is None else [milliseconds / 1000]
    if joules is not None:
        if config.cost.watts is None:
            raise ConfigError(
                "an energy budget needs a cost table with the device's power (watts).",
                hint=f"{hint} It holds watts where an energy meter works: see sphinx-nvs doctor.",
            )
        budgets.append(energy_budget_seconds(joules, config.cost.watts))
    return min(budgets)


def budget_notes(
    budget: Budgeted, cost: CostModel, schedules: tuple[Schedule, ...]
) -> Iterator[str]:
    """What came of the budget, and what it could not take into account."""
    yield budget.note()
    unmeasured = request_seconds(cost, schedules)[1]
    if unmeasured:
        yield (
            f"the budget leaves out {', '.join(unmeasured)}: the cost table does not know their "
            "times"
        )


def predictions(
    cost: CostModel, schedules: tuple[Schedule, ...]
) -> tuple[float | None, float | None]:
    """Seconds of the loop and of the whole request; ``None`` where something was not measured."""
    if not cost.measured:
        return None, None
    seconds, unmeasured = request_seconds(cost, schedules)
    denoise = sum(cost.denoise_seconds(schedule) or 0.0 for schedule in schedules)
    return denoise, None if unmeasured else seconds
