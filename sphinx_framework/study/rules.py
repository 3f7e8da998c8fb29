"""Fitting start-step rules to samples: monotone, and never later than the samples justify.

Ratios are cut into bins with enough samples each. In a bin, a start step is justified when the
lower confidence bound of the kept share of full diffusion's score reaches the quality. The rule
takes the latest justified start of a bin, lowered to that of every better bin, so that it never
falls as the ratio rises (paper sections 5.1 and 5.4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from sphinx_framework.study.samples import SceneSample

RESAMPLES = 500
NEVER = 99.0
Row = tuple[float, float, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedRule:
    """Rows ``[low, high, start]``; a ratio at or above the last ``high`` serves the regression.

    samples, bounds: per row, how many targets it rests on and the kept share's lower bound.
    """

    quality: float
    cluster: int | None
    rows: tuple[Row, ...]
    samples: tuple[int, ...]
    bounds: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All targets of a cluster: ratio, scene number, and kept share by start step."""

    ratio: Float[np.ndarray, " n"]
    scene: Float[np.ndarray, " n"]
    kept: dict[int, Float[np.ndarray, " n"]]

    @classmethod
    def of(cls, samples: Sequence[SceneSample]) -> "Observed":
        """Stack the targets of several scenes."""
        rows = [(t, i) for i, sample in enumerate(samples) for t in sample.targets]
        starts = sorted(rows[0][0].scores) if rows else []
        return cls(
            ratio=np.array([t.ratio for t, _ in rows]),
            scene=np.array([i for _, i in rows]),
            kept={s: np.array([t.kept(s) for t, _ in rows]) for s in starts},
        )


def lower_bound(
    values: Float[np.ndarray, " n"], scenes: Float[np.ndarray, " n"], confidence: float
) -> float:
    """One-sided bootstrap bound of the mean over whole scenes: their targets go together."""
    if len(values) == 0:
        return float("-inf")
    distinct, index = np.unique(scenes, return_inverse=True)
    sums, counts = np.bincount(index, values), np.bincount(index)
    draws = np.random.default_rng(0).integers(0, len(distinct), (RESAMPLES, len(distinct)))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    return float(np.quantile(means, 1 - confidence))


def fit_rule(
    observed: Observed,
    quality: float,
    *,
    cluster: int | None,
    num_steps: int,
    bins: int,
    min_samples: int,
    confidence: float,
) -> FittedRule:
    """Fit the rule of one cluster and quality.

    Raises ``ValueError`` when there is no sample at all.
    """
    if len(observed.ratio) == 0:
        raise ValueError("a rule needs at least one sample")
    edges = _edges(observed.ratio, bins, min_samples)
    starts = sorted(s for s in observed.kept if s < num_steps)
    chosen, counts = [], []
    members = [(observed.ratio >= low) & (observed.ratio < high) for low, high in pairwise(edges)]
    for inside in members:
        counts.append(int(inside.sum()))
        justified = 0
        for start in starts:
            bound = lower_bound(observed.kept[start][inside], observed.scene[inside], confidence)
            if bound < quality and start > 0:
                break
            justified = start
        chosen.append(justified)
    monotone = np.minimum.accumulate(np.array(chosen)[::-1])[::-1]
    served = _serving_ratio(observed, quality, num_steps, min_samples, confidence)
    rows: list[Row] = []
    kept_counts: list[int] = []
    bounds: list[float] = []
    for position, (low, high) in enumerate(pairwise(edges)):
        last = position == len(edges) - 2
        end = served if last or high > served else high
        if low >= end:
            continue
        start = int(monotone[position])
        inside = members[position]
        rows.append((round(float(low), 4), round(float(end), 4), start))
        kept_counts.append(counts[position])
        bound = lower_bound(observed.kept[start][inside], observed.scene[inside], confidence)
        bounds.append(round(bound, 4))
    return FittedRule(
        quality=quality,
        cluster=cluster,
        rows=tuple(rows) or ((0.0, round(served, 4), 0),),
        samples=tuple(kept_counts) or (0,),
        bounds=tuple(bounds) or (1.0,),
    )


def _edges(ratio: Float[np.ndarray, " n"], bins: int, min_samples: int) -> list[float]:
    """Bin borders at quantiles, with at least ``min_samples`` in each bin; the first is 0."""
    most = max(1, min(bins, len(ratio) // max(1, min_samples)))
    inner = np.quantile(ratio, np.arange(1, most) / most) if most > 1 else np.array([])
    rounded = sorted({round(float(edge), 4) for edge in inner if edge > 0})
    return [0.0, *rounded, NEVER]


def _serving_ratio(
    observed: Observed, quality: float, num_steps: int, min_samples: int, confidence: float
) -> float:
    """Smallest ratio from which on regression frames keep the quality; ``NEVER`` without proof."""
    best = NEVER
    for candidate in np.unique(np.quantile(observed.ratio, np.linspace(0, 1, 21))):
        above = observed.ratio >= candidate
        if above.sum() < min_samples:
            continue
        bound = lower_bound(observed.kept[num_steps][above], observed.scene[above], confidence)
        if bound >= quality:
            best = min(best, max(round(float(candidate), 4), 1e-4))
    return best
