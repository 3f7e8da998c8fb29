"""Confidence intervals over scenes, by bootstrap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sphinx_framework.study.bounds import expanded_level

RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over scenes with its central 95 % bootstrap interval."""

    mean: float
    low: float
    high: float
    count: int

    def text(self, digits: int = 2) -> str:
        """``27.31 [26.9, 27.7]``; one scene has no interval."""
        if self.count < 2:
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def over_scenes(values: Sequence[float], seed: int = 0) -> Interval:
    """Bootstrap the mean of one value per scene; scenes without a value (NaN) are left out.

    The level is expanded for few scenes, as in :mod:`sphinx_framework.study.bounds`.
    """
    known = np.array([v for v in values if np.isfinite(v)], dtype=float)
    if len(known) == 0:
        return Interval(mean=float("nan"), low=float("nan"), high=float("nan"), count=0)
    draws = np.random.default_rng(seed).integers(0, len(known), (RESAMPLES, len(known)))
    means = known[draws].mean(1)
    tail = expanded_level(0.975, len(known)) if len(known) > 1 else 0.0
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(mean=float(known.mean()), low=float(low), high=float(high), count=len(known))
