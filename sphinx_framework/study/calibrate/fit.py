"""Fitting start-step rules to samples: monotone, and never later than the samples justify.

Ratios are cut into bins with enough samples each. In a bin, a start step is *justified* when the
lower confidence bound of the kept share of full diffusion's score reaches the quality, and enough
of the bin's scenes reach it themselves, for this start and for all earlier ones. Serving the
regression frame is judged by itself: it loses nothing to the autoencoder. From the best bin down, a
bin takes its latest justified start that is not later than the next better bin's. So the rule never
falls as the ratio rises, every entry is justified by its own bin, and a higher quality, for which
less is justified in the same bins, never starts later (paper sections 5.1 and 5.4).

Below the smallest ratio seen, and in bins with too few samples, nothing is justified: start 0, the
method's own walk from the first step. It is the last resort whether it keeps the quality or not,
and its bound is stated like any other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from sphinx_framework.policy.rule_table import Row, RuleTable
from sphinx_framework.study.calibrate.bounds import lower_bounds
from sphinx_framework.study.calibrate.samples import SceneSample

NEVER = 1e9
SMALLEST_ROW = 1e-4
DECIMALS = 4
UNKNOWN = 0.0  # bound of a row without samples enough to state one


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How rules are fitted.

    bins: of the ratio, at most. min_samples: targets per bin (and in them, two scenes).
    confidence: of the lower bound of the mean kept share.
    scenes_met: share of a bin's scenes that must keep the quality in their own mean.
    """

    bins: int = 6
    min_samples: int = 20
    confidence: float = 0.9
    scenes_met: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All targets of a cluster: ratio, scene number, and kept share by start step.

    full: score of full diffusion over the inputs' interpolated score.
    """

    ratio: Float[np.ndarray, " n"]
    full: Float[np.ndarray, " n"]
    scene: Int[np.ndarray, " n"]
    kept: dict[int, Float[np.ndarray, " n"]]

    @classmethod
    def of(cls, samples: Sequence[SceneSample]) -> "Observed":
        """Stack the targets of several scenes, by scene name: the order given does not matter."""
        ordered = sorted(samples, key=lambda sample: sample.scene)
        rows = [(t, i) for i, sample in enumerate(ordered) for t in sample.targets]
        starts = sorted(rows[0][0].scores) if rows else []
        return cls(
            ratio=np.array([t.ratio for t, _ in rows], dtype=float),
            full=np.array([t.full / t.reference for t, _ in rows], dtype=float),
            scene=np.array([i for _, i in rows], dtype=int),
            kept={s: np.array([t.kept(s) for t, _ in rows], dtype=float) for s in starts},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Ratios ``low <= ratio < high``: targets in it, and what each start keeps there.

    full_ratio: mean ratio of full diffusion. bound: start -> lower bound of the mean kept share;
    by_scene: start -> kept shares of the scenes.
    """

    low: float
    high: float
    count: int
    full_ratio: float
    enough: bool
    bound: dict[int, float]
    by_scene: dict[int, Float[np.ndarray, " s"]]

    def keeps(self, start: int, quality: float, scenes_met: float) -> bool:
        """Whether ``start`` is known to keep the quality here."""
        if start == 0:
            return True
        share = float((self.by_scene[start] >= quality).mean()) if self.enough else 0.0
        return self.enough and self.bound[start] >= quality and share >= scenes_met

    def justified(self, quality: float, num_steps: int, scenes_met: float) -> list[int]:
        """Start steps that may be used, ascending; 0 always may."""
        allowed = [0]
        for start in sorted(s for s in self.bound if 0 < s < num_steps):
            if not self.keeps(start, quality, scenes_met):
                break
            allowed.append(start)
        if self.keeps(num_steps, quality, scenes_met):
            allowed.append(num_steps)
        return allowed


def fit_rules(
    observed: Observed, qualities: Sequence[float], *, cluster: int | None, num_steps: int, fit: Fit
) -> list[RuleTable]:
    """Fit the rules of one cluster for several qualities, on common bins.

    Raises ``ValueError`` when there is no sample at all.
    """
    if len(observed.ratio) == 0:
        raise ValueError("a rule needs at least one sample")
    bins = [
        _bin(observed, low, high, fit)
        for low, high in pairwise(bin_edges(observed.ratio, observed.scene, fit))
    ]
    return [_rule(bins, quality, cluster, num_steps, fit) for quality in qualities]


def bin_edges(
    ratio: Float[np.ndarray, " n"], scene: Int[np.ndarray, " n"], fit: Fit
) -> list[float]:
    """Borders at quantiles, from the smallest ratio seen; thin bins join their lower neighbour."""
    smallest = max(0.0, math.floor(float(ratio.min()) * 10**DECIMALS) / 10**DECIMALS)
    inner = np.quantile(ratio, np.arange(1, fit.bins) / fit.bins) if fit.bins > 1 else []
    edges = sorted({round(float(edge), DECIMALS) for edge in inner})
    edges = [smallest, *(edge for edge in edges if smallest < edge < NEVER), NEVER]
    position = len(edges) - 2
    while position >= 0 and len(edges) > 2:
        inside = (ratio >= edges[position]) & (ratio < edges[position + 1])
        if not _enough(inside, scene, fit):
            del edges[position if position > 0 else 1]
        position -= 1
    return edges


def _enough(inside: Bool[np.ndarray, " n"], scene: Int[np.ndarray, " n"], fit: Fit) -> bool:
    return int(inside.sum()) >= fit.min_samples and len(np.unique(scene[inside])) >= 2


def _bin(observed: Observed, low: float, high: float, fit: Fit) -> Bin:
    inside = (observed.ratio >= low) & (observed.ratio < high)
    enough = _enough(inside, observed.scene, fit)
    scenes = observed.scene[inside]
    starts = sorted(observed.kept) if enough else []
    kept = np.stack([observed.kept[start][inside] for start in starts]) if enough else None
    bounds = () if kept is None else lower_bounds(kept, scenes, fit.confidence)
    _, index = np.unique(scenes, return_inverse=True)
    return Bin(
        low=low,
        high=high,
        count=int(inside.sum()),
        full_ratio=float(observed.full[inside].mean()),
        enough=enough,
        bound=dict(zip(starts, map(float, bounds), strict=True)),
        by_scene={
            start: np.bincount(index, observed.kept[start][inside]) / np.bincount(index)
            for start in starts
        },
    )


def _rule(
    bins: Sequence[Bin], quality: float, cluster: int | None, num_steps: int, fit: Fit
) -> RuleTable:
    """Choose from the best bin down; bins that serve the regression frame become the open end."""
    chosen: list[int] = []
    limit = num_steps
    for part in reversed(bins):
        limit = max(s for s in part.justified(quality, num_steps, fit.scenes_met) if s <= limit)
        chosen.insert(0, limit)
    refined = [(b, start) for b, start in zip(bins, chosen, strict=True) if start < num_steps]
    served = bins[len(refined) :]
    rows: list[Row] = [(b.low, b.high, start) for b, start in refined]
    samples = [b.count for b, _ in refined]
    bounds = [round(b.bound.get(start, UNKNOWN), 4) for b, start in refined]
    full = [round(b.full_ratio, 4) for b, _ in refined]
    if not refined:
        # A table needs a row; this one only says that nothing was seen below the first bin.
        high = max(bins[0].low, SMALLEST_ROW)
        rows, samples, bounds, full = (
            [(0.0, high, 0)],
            [0],
            [UNKNOWN],
            [round(bins[0].full_ratio, 4)],
        )
    table = RuleTable(
        quality=quality,
        cluster=cluster,
        rows=tuple(rows),
        samples=tuple(samples),
        lower_bound=tuple(bounds),
        full_ratio=tuple(full),
        served_samples=sum(b.count for b in served),
        served_bound=min((round(b.bound[num_steps], 4) for b in served), default=None),
    )
    return table.model_copy(update={"notes": told(table)})


def thin_rows(table: RuleTable) -> tuple[int, ...]:
    """Rows that start at 0 because too few samples lie in them: no bound can be stated there."""
    pairs = zip(table.samples, table.lower_bound, strict=True)
    return tuple(row for row, (count, bound) in enumerate(pairs) if count and bound == UNKNOWN)


def told(table: RuleTable) -> str:
    """What the samples say about serving regression frames as they are, and of thin rows."""
    said = "regression frames are never served as they are: the samples do not justify it"
    if table.served_bound is not None:
        said = (
            f"regression frames are served as they are from ratio {table.rows[-1][1]:g}: "
            f"{table.served_samples} targets, which keep at least {table.served_bound:.3f}"
        )
    if thin_rows(table):
        rows = ", ".join(str(row) for row in thin_rows(table))
        said += f"; too few samples in rows {rows}: start 0"
    return said
