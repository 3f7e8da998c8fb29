"""Confidence intervals over scenes, by bootstrap."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from sphinx_framework.study.calibrate.bounds import RESAMPLES, expanded_level

# Drawn scenes, by resample, to a figure per resample.
Statistic = Callable[[Int[np.ndarray, "r n"]], Float[np.ndarray, " r"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure over scenes, mostly a mean, with its central 95 % bootstrap interval."""

    mean: float
    low: float
    high: float
    count: int

    def text(self, digits: int = 2) -> str:
        """``27.31 [26.9, 27.7]``; one scene has no interval."""
        if self.count < 2:
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def bootstrapped(count: int, statistic: Statistic, seed: int = 0) -> tuple[float, float]:
    """Central 95 % bootstrap interval of a figure of ``count`` scenes.

    The level is expanded for few scenes, as in :mod:`sphinx_framework.study.calibrate.bounds`.
    """
    draws = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    tail = expanded_level(0.975, count) if count > 1 else 0.0
    low, high = np.quantile(statistic(draws), [tail, 1 - tail])
    return float(low), float(high)


def over_scenes(values: Sequence[float], seed: int = 0) -> Interval:
    """Bootstrap the mean of one value per scene; scenes without a value (NaN) are left out."""
    known = np.array([v for v in values if np.isfinite(v)], dtype=float)
    if len(known) == 0:
        return Interval(mean=float("nan"), low=float("nan"), high=float("nan"), count=0)
    low, high = bootstrapped(len(known), lambda draws: known[draws].mean(1), seed)
    return Interval(mean=float(known.mean()), low=low, high=high, count=len(known))
