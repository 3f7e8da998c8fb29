"""Fitting rules to samples: per bin of the ratio the cheapest plan that keeps the quality.

What a plan keeps is a share, by the objective that the rules state:

* ``paper``: of full diffusion's no-reference score on the same target (eq. 1);
* ``truth``: of the similarity to ground truth that the best plan of the grid reaches there, where
  the best is the cheapest of the plans that reach the bin's highest mean similarity to three
  decimals of a share (``TIE``): what is closer than that differs by chance of the scenes, and
  buys no further step.

A plan *keeps* a quality in a bin when the lower confidence bound of its mean share reaches it, and
enough of the bin's scenes reach it themselves. The plan to which shares are relative (full
diffusion, the best plan) keeps everything. The cheapest plan that keeps is chosen; cost is the
number of solver steps of a frame. Of equally cheap ones whose bounds are alike (``TIE``) it is the
one that is best over all bins: frames of one request then share their steps, and no bin has a plan
of its own by chance of its scenes. Therefore, in every bin:

* no cheaper plan of the grid keeps the quality, so no request is beaten by a cheaper point;
* cost, and what is kept (by more than plans that are alike differ by), never fall as the quality
  rises: a plan that keeps more than it must stays the choice until it no longer does.

Bins are common to all qualities. Where a better bin would cost more than a worse one at any
quality, the two are merged and fitted as one, so cost never rises with the ratio either.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from sphinx_framework.errors import ConfigError
from sphinx_framework.frame_plan import FramePlan, full_diffusion
from sphinx_framework.policy.rule_table import RuleTable, row_plan
from sphinx_framework.study.calibrate.bounds import lower_bounds
from sphinx_framework.study.calibrate.samples import SceneSample, TargetSample
from sphinx_framework.study.calibrate.ties import TIE, best_plan
from sphinx_framework.types import Objective

NEVER = 1e9
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
    objective: Objective = "paper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All targets of a cluster that plans decide about: ratio, scene number, quality by plan.

    full: score of full diffusion over the inputs' interpolated score. quality: what the objective
    compares, in no unit; every plan has the same targets.
    """

    num_steps: int
    ratio: Float[np.ndarray, " n"]
    full: Float[np.ndarray, " n"]
    scene: Int[np.ndarray, " n"]
    quality: dict[FramePlan, Float[np.ndarray, " n"]]

    @property
    def means(self) -> dict[FramePlan, float]:
        """Mean quality of every plan over all targets."""
        return {plan: float(values.mean()) for plan, values in self.quality.items()}

    @classmethod
    def of(cls, samples: Sequence[SceneSample], objective: Objective) -> "Observed":
        """Stack the targets of several scenes, by scene name: the order given does not matter.

        Targets that are served as rendered whatever the plan are left out.
        Raises :class:`ConfigError` for objective ``truth`` without ground truth.
        """
        ordered = sorted(samples, key=lambda sample: sample.scene)
        rows = [(t, i) for i, s in enumerate(ordered) for t in s.targets if not t.held]
        blind = next((s.scene for s in ordered for t in s.targets if not t.similarities), None)
        if objective == "truth" and blind is not None:
            raise ConfigError(
                f"objective 'truth' needs ground truth at the targets; {blind} has none.",
                hint="Give scenes with target images, or --objective paper.",
            )
        plans = list(rows[0][0].scores) if rows else []
        return cls(
            num_steps=ordered[0].num_steps if ordered else 0,
            ratio=np.array([t.ratio for t, _ in rows], dtype=float),
            full=np.array([t.full / t.reference for t, _ in rows], dtype=float),
            scene=np.array([i for _, i in rows], dtype=int),
            quality={
                FramePlan.parse(p): np.array(
                    [reached(t, p, objective) for t, _ in rows], dtype=float
                )
                for p in plans
            },
        )


def reached(target: TargetSample, plan: str, objective: Objective) -> float:
    """What a plan reached on a target, in the objective's measure."""
    return target.kept(plan) if objective == "paper" else target.similarities[plan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What one plan keeps in a bin: mean share, its lower bound, shares of the scenes."""

    mean: float
    bound: float
    by_scene: Float[np.ndarray, " s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Ratios ``low <= ratio < high``: targets in it, and what each plan keeps there.

    full_ratio: mean ratio of full diffusion. reference: the plan that shares are relative to.
    kept: empty where there are too few samples to say anything. everywhere: mean quality over all
    bins. num_steps: grid of the plans.
    """

    low: float
    high: float
    count: int
    full_ratio: float
    reference: FramePlan
    kept: dict[FramePlan, Kept]
    everywhere: dict[FramePlan, float]
    num_steps: int

    def keeps(self, plan: FramePlan, quality: float, scenes_met: float) -> bool:
        """Whether a plan is known to keep the quality here."""
        if plan == self.reference:
            return True
        found = self.kept[plan]
        met = float((found.by_scene >= quality).mean())
        return found.bound >= quality and met >= scenes_met

    def choice(self, quality: float, scenes_met: float) -> FramePlan:
        """The cheapest plan that keeps the quality."""
        able = [plan for plan in self.kept if self.keeps(plan, quality, scenes_met)]
        if not able:
            return self.reference
        least = min(plan.cost(self.num_steps) for plan in able)
        cheap = [plan for plan in able if plan.cost(self.num_steps) == least]
        highest = max(self.kept[plan].bound for plan in cheap)
        alike = [plan for plan in cheap if self.kept[plan].bound >= highest - TIE]
        return min(alike, key=lambda plan: (-self.everywhere[plan], plan.text()))


def fit_rules(
    observed: Observed, qualities: Sequence[float], *, cluster: int | None, fit: Fit
) -> list[RuleTable]:
    """Fit the rules of one cluster for several qualities, on common bins.

    Raises ``ValueError`` when there is no sample at all.
    """
    if len(observed.ratio) == 0:
        raise ValueError("a rule needs at least one sample")
    edges = bin_edges(observed.ratio, observed.scene, fit)
    if fit.objective == "truth":
        edges[0] = 0.0  # full diffusion, the answer to the unknown, may be the worst plan here
    bins = merged(observed, edges, qualities, fit)
    return [_rule(bins, quality, cluster, fit) for quality in qualities]


def merged(
    observed: Observed, edges: Sequence[float], qualities: Sequence[float], fit: Fit
) -> list[Bin]:
    """Bins in which no better one costs more, at any of the qualities."""
    left = list(edges)
    while True:
        bins = [_bin(observed, low, high, fit) for low, high in pairwise(left)]
        costs = [[b.choice(q, fit.scenes_met).cost(b.num_steps) for b in bins] for q in qualities]
        rises = [i for row in costs for i, (a, b) in enumerate(pairwise(row)) if a < b]
        if not rises:
            return bins
        del left[max(rises) + 1]


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
    scenes, steps = observed.scene[inside], observed.num_steps
    plans = list(observed.quality)
    values = np.stack([observed.quality[plan][inside] for plan in plans])
    reference = full_diffusion(steps)
    everywhere = observed.means
    if fit.objective == "truth":
        means = dict(zip(plans, values.mean(1), strict=True))
        reference = best_plan(means, steps, everywhere)
    if reference in plans:  # shares of full diffusion's score are shares already, as eq. 1 has them
        values = values / values[plans.index(reference)]
    kept: dict[FramePlan, Kept] = {}
    if enough:
        _, index = np.unique(scenes, return_inverse=True)
        bounds = lower_bounds(values, scenes, fit.confidence)
        for plan, own, bound in zip(plans, values, bounds, strict=True):
            kept[plan] = Kept(
                mean=float(own.mean()),
                bound=float(bound),
                by_scene=np.bincount(index, own) / np.bincount(index),
            )
    return Bin(
        low=low,
        high=high,
        count=int(inside.sum()),
        full_ratio=float(observed.full[inside].mean()),
        reference=reference,
        kept=kept,
        everywhere=everywhere,
        num_steps=steps,
    )


def _rule(bins: Sequence[Bin], quality: float, cluster: int | None, fit: Fit) -> RuleTable:
    """One row per bin; below the smallest ratio seen, the plan that keeps everything."""
    chosen = [(b.low, b.high, b.choice(quality, fit.scenes_met), b.count) for b in bins]
    bounds = [
        round(_bound(b, plan), DECIMALS) for b, (_, _, plan, _) in zip(bins, chosen, strict=True)
    ]
    full = [round(b.full_ratio, DECIMALS) for b in bins]
    if bins[0].low > 0:
        chosen.insert(0, (0.0, bins[0].low, bins[0].reference, 0))
        bounds.insert(0, UNKNOWN)
        full.insert(0, full[0])
    solvers = tuple(plan.walk.solver or "" for _, _, plan, _ in chosen)
    table = RuleTable(
        quality=quality,
        cluster=cluster,
        rows=tuple((low, high, plan.start) for low, high, plan, _ in chosen),
        steps=tuple(plan.walk.steps or 0 for _, _, plan, _ in chosen),
        solvers=solvers if any(solvers) else (),
        samples=tuple(count for *_, count in chosen),
        lower_bound=tuple(bounds),
        full_ratio=tuple(full),
    )
    return table.model_copy(update={"notes": told(table)})


def _bound(part: Bin, plan: FramePlan) -> float:
    return part.kept[plan].bound if part.kept else UNKNOWN


def thin_rows(table: RuleTable) -> tuple[int, ...]:
    """Rows with too few samples to state a bound: they get the plan that keeps everything."""
    pairs = zip(table.samples, table.lower_bound, strict=True)
    return tuple(row for row, (count, bound) in enumerate(pairs) if count and bound == UNKNOWN)


def told(table: RuleTable) -> str:
    """Rows that rest on too few samples."""
    thin = thin_rows(table)
    if not thin:
        return ""
    plans = ", ".join(f"{row} (plan {row_plan(table, row).text()})" for row in thin)
    return f"too few samples in rows {plans}"
