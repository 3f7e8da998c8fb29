"""Plans that are alike: which of them counts as the best."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from sphinx_framework.frame_plan import FramePlan

K = TypeVar("K")
TIE = 5e-4  # of the highest mean: shares are told to three decimals


def best_plan(
    means: Mapping[FramePlan, float], num_steps: int, everywhere: Mapping[FramePlan, float]
) -> FramePlan:
    """The cheapest of those alike in their means; of those the best everywhere."""
    by_text = {plan: means[plan] for plan in sorted(means, key=FramePlan.text)}
    return cheapest_best(by_text, lambda plan: plan.cost(num_steps), everywhere)


def cheapest_best(
    means: Mapping[K, float],
    cost: Callable[[K], float],
    everywhere: Mapping[K, float] | None = None,
) -> K:
    """The cheapest of those within ``TIE`` of the highest mean; of those the highest.

    everywhere: means over more than these targets, which decide in place of ``means``.
    """
    least = max(means.values()) * (1 - TIE)
    known = means if everywhere is None else everywhere
    best = (key for key, mean in means.items() if mean >= least)
    return min(best, key=lambda key: (cost(key), -known[key]))
