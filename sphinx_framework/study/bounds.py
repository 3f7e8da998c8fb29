"""Lower confidence bounds of a mean over scenes, honest about few scenes."""

import math
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int

RESAMPLES = 2000


def lower_bound(
    values: Float[np.ndarray, " n"], scenes: Int[np.ndarray, " n"], confidence: float
) -> float:
    """One-sided lower bound of the mean of ``values``, by bootstrap over whole scenes.

    Targets of a scene go together, because they resemble each other. A plain bootstrap is too
    narrow for few scenes, so its level is expanded as Hesterberg (2015, "What teachers should know
    about the bootstrap", section 5.3) proposes: the quantile is that of a t distribution widened by
    ``sqrt(n / (n - 1))``. One scene bounds nothing: minus infinity.
    """
    distinct, index = np.unique(scenes, return_inverse=True)
    count = len(distinct)
    if count < 2:
        return float("-inf")
    sums, counts = np.bincount(index, values), np.bincount(index)
    draws = np.random.default_rng(0).integers(0, count, (RESAMPLES, count))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    return float(np.quantile(means, expanded_level(confidence, count)))


def expanded_level(confidence: float, count: int) -> float:
    """Bootstrap quantile whose coverage is near ``confidence`` for ``count`` scenes (two or more).

    ``1 - confidence`` for very many scenes, smaller for few.
    """
    from scipy.stats import t

    quantile = float(t.ppf(confidence, count - 1))
    return NormalDist().cdf(-math.sqrt(count / (count - 1)) * quantile)
