"""Reading k rules: the scene cluster, and from a quality ratio to a plan (torch-free)."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from sphinx_framework.errors import ConfigError, InputError
from sphinx_framework.frame_plan import FramePlan, as_rendered, full_diffusion
from sphinx_framework.policy.rule_table import RuleTable, full_ratio_of, row_of, start_of
from sphinx_framework.policy.rules import Rules

__all__ = [
    "Choice",
    "Lookup",
    "bracket",
    "full_ratio_of",
    "nearest_centre",
    "row_of",
    "start_of",
]

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The nearest cluster.

    cosine: of the embedding with that centre; margin: over the second nearest (0 for one centre).
    candidates: all clusters within the margin asked for, the nearest first.
    """

    cluster: int
    cosine: float
    margin: float
    candidates: tuple[int, ...]


def nearest_centre(
    embedding: Float[np.ndarray, " D"],
    centres: Float[np.ndarray, "K E"],
    min_margin: float = 0.0,
) -> Choice:
    """The cluster whose centre has the largest cosine with a scene's embedding.

    Of equal ones the first. Raises :class:`ConfigError` when the lengths differ.
    """
    if embedding.shape[0] != centres.shape[1]:
        raise ConfigError(
            f"the scene embedding has {embedding.shape[0]} values, the cluster centres have "
            f"{centres.shape[1]}.",
            hint="Use the embedder that the centres were made with ([pipeline.embedder]).",
        )
    cosines = unit(centres) @ unit(embedding[None])[0]
    ordered = [int(i) for i in (-cosines).argsort(kind="stable")]
    best = float(cosines[ordered[0]])
    margin = best - float(cosines[ordered[1]]) if len(ordered) > 1 else 0.0
    near = [i for i in ordered[1:] if best - float(cosines[i]) < min_margin]
    return Choice(cluster=ordered[0], cosine=best, margin=margin, candidates=(ordered[0], *near))


def unit(vectors: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n D"]:
    """Each vector at length one, in float64; a vector of zeros stays."""
    wide = np.asarray(vectors, dtype=np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True).clip(min=1e-12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """How tables are read; the options of the ``klogic`` step policy.

    max_start: on the rules' grid.
    """

    style: Literal["table", "interpolated"] = "table"
    below_first: Literal["zero", "ramp"] = "zero"
    max_start: int | None = None
    multiple_of: int = 1

    def plan(
        self, rules: Rules, cluster: int | None, quality: float, ratio: float, num_steps: int
    ) -> FramePlan:
        """The plan of a frame on a grid of ``num_steps``.

        Rules without ``steps`` say the start alone (:meth:`start_step`). With ``steps``, a quality
        between two measured ones gets the plan of the higher: plans are not interpolated. Quality 1
        is full diffusion under objective ``paper``, bit for bit.

        Raises :class:`InputError` for a quality that is not in (0, 1].
        """
        lower, higher, weight = bracket(rules, quality)
        asked, quality = quality, higher if weight > 0 else lower
        if quality == 1 and rules.objective == "paper" and (weight == 0 or self._stated(rules)):
            return full_diffusion(num_steps)
        if not self._stated(rules):
            return FramePlan(self.start_step(rules, cluster, asked, ratio, num_steps))
        found = rules.plan(rules.table(quality, cluster), ratio)
        if found.full(rules.num_steps):
            return full_diffusion(num_steps)
        start = self._scaled(self._latest(rules, found.start), rules, num_steps)
        return as_rendered(num_steps) if start == num_steps else FramePlan(start, found.walk)

    def _stated(self, rules: Rules) -> bool:
        return bool(rules.tables[0].steps)

    def start_step(
        self, rules: Rules, cluster: int | None, quality: float, ratio: float, num_steps: int
    ) -> int:
        """Return the start step in ``0..num_steps`` on a grid of ``num_steps``.

        Between two measured qualities the start is interpolated linearly and rounded down (towards
        more steps). Below the lowest measured quality its rule, the cheapest, applies. Quality 1 is
        full diffusion under objective ``paper`` and counts as measured: start 0. Starts scale with
        ``num_steps``, rounded down too.

        Raises :class:`InputError` for a quality that is not in (0, 1].
        """
        lower, higher, weight = bracket(rules, quality)
        start = (1 - weight) * self._measured(rules, cluster, lower, ratio)
        if weight > 0:
            start += weight * self._measured(rules, cluster, higher, ratio)
        return self._scaled(start, rules, num_steps)

    def _scaled(self, start: float, rules: Rules, num_steps: int) -> int:
        """A start on the rules' grid, brought to another and rounded down."""
        scaled = start * num_steps / rules.num_steps
        if scaled >= num_steps - ROUNDING:
            return num_steps
        steps = math.floor(scaled + ROUNDING)
        return steps - steps % self.multiple_of

    def _latest(self, rules: Rules, start: float) -> float:
        return min(start, float(rules.num_steps if self.max_start is None else self.max_start))

    def _measured(self, rules: Rules, cluster: int | None, quality: float, ratio: float) -> float:
        """Start on the rules' grid at a measured quality, or at quality 1."""
        if quality == 1 and rules.objective == "paper":
            return 0.0
        table = rules.table(quality, cluster)
        if ratio >= table.rows[-1][1]:
            return self._latest(rules, rules.num_steps)
        read = _constant if self.style == "table" else _continuous
        return self._latest(rules, read(table, ratio, self.below_first == "ramp"))


def bracket(rules: Rules, quality: float) -> tuple[float, float, float]:
    """Measured qualities around the one asked for, and the weight of the higher one.

    Below the lowest measured quality that one counts. Raises :class:`InputError` for a quality that
    is not in (0, 1].
    """
    measured = rules.qualities
    if not 0 < quality <= 1:
        known = ", ".join(f"{q:g}" for q in measured)
        raise InputError(
            f"quality {quality:g} is not in (0, 1].",
            hint=f"Rules {rules.name!r} are measured at {known}; lower ones get the cheapest rule.",
        )
    quality = max(quality, measured[0])
    known_qualities = measured if measured[-1] == 1 else (*measured, 1.0)
    for value in known_qualities:
        if abs(value - quality) <= ROUNDING:
            return value, value, 0.0
    higher = next(value for value in known_qualities if value > quality)
    lower = known_qualities[known_qualities.index(higher) - 1]
    return lower, higher, (quality - lower) / (higher - lower)


def _constant(table: RuleTable, ratio: float, ramp: bool) -> float:
    """The authors' reading: the start of the row that holds the ratio."""
    low, _, start = table.rows[0]
    if ramp and 0 < ratio < low:
        return start * ratio / low
    return float(start_of(table.rows, ratio, 0))


def _continuous(table: RuleTable, ratio: float, ramp: bool) -> float:
    """Rise through every row to its start, which is reached where the row ends.

    Thus it is continuous up to the table's end, and within the rows never later than the table.
    """
    left, reached = (0.0 if ramp else table.rows[0][0]), 0.0
    if ratio <= left:
        return 0.0
    for _, high, start in table.rows:
        if ratio < high:
            return reached + (start - reached) * (ratio - left) / (high - left)
        left, reached = high, float(start)
    return reached
