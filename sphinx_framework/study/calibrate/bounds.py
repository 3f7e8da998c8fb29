"""Lower confidence bounds of a mean over scenes, honest about few scenes."""

import math
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int

RESAMPLES = 2000


def lower_bounds(
    values: Float[np.ndarray, "k n"], scenes: Int[np.ndarray, " n"], confidence: float
) -> Float[np.ndarray, " k"]:
    """One-sided lower bounds of the means of ``k`` quantities, by bootstrap over whole scenes.

    Targets of a scene go together, because they resemble each other. A plain bootstrap is too
    narrow for few scenes, so its level is expanded as Hesterberg (2015, "What teachers should know
    about the bootstrap", section 5.3) proposes: the quantile is that of a t distribution widened by
    ``sqrt(n / (n - 1))``. One scene bounds nothing: minus infinity.
    """
    distinct, index = np.unique(scenes, return_inverse=True)
    count = len(distinct)
    if count < 2:
        return np.full(len(values), -np.inf)
    sums = np.stack([np.bincount(index, row) for row in values], axis=1)
    # How often each scene is drawn; drawing scenes one by one would give the same numbers.
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    means = (drawn @ sums) / (drawn @ np.bincount(index))[:, None]
    return np.quantile(means, expanded_level(confidence, count), axis=0)


def expanded_level(confidence: float, count: int) -> float:
    """Bootstrap quantile whose coverage is near ``confidence`` for ``count`` scenes (two or more).

    ``1 - confidence`` for very many scenes, smaller for few.
    """
    from scipy.stats import t

    quantile = float(t.ppf(confidence, count - 1))
    return NormalDist().cdf(-math.sqrt(count / (count - 1)) * quantile)
