"""From a quality ratio to a start step: pure functions on rule tables (torch-free)."""

import math
from dataclasses import dataclass
from typing import Literal

from sphinx_framework.errors import InputError
from sphinx_framework_klogic.rules import Rules, RuleTable

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """How tables are read; see :class:`sphinx_framework_klogic.config.KLogicConfig`.

    max_start: on the rules' grid.
    """

    style: Literal["table", "interpolated"] = "table"
    below_first: Literal["zero", "ramp"] = "zero"
    max_start: int | None = None
    multiple_of: int = 1

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
        scaled = start * num_steps / rules.num_steps
        if scaled >= num_steps - ROUNDING:
            return num_steps
        steps = math.floor(scaled + ROUNDING)
        return steps - steps % self.multiple_of

    def _measured(self, rules: Rules, cluster: int | None, quality: float, ratio: float) -> float:
        """Start on the rules' grid at a measured quality, or at quality 1."""
        if quality == 1 and rules.objective == "paper":
            return 0.0
        latest = float(rules.num_steps if self.max_start is None else self.max_start)
        table = rules.table(quality, cluster)
        if ratio >= table.rows[-1][1]:
            return min(float(rules.num_steps), latest)
        read = _constant if self.style == "table" else _continuous
        return min(read(table, ratio, self.below_first == "ramp"), latest)


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


def row_of(table: RuleTable, ratio: float) -> int | None:
    """Index of the row that holds a ratio, or ``None`` below the first and above the last."""
    for index, (low, high, _) in enumerate(table.rows):
        if low <= ratio < high:
            return index
    return None


def full_ratio_of(table: RuleTable, ratio: float) -> float | None:
    """Mean ratio of full diffusion on frames of this ratio, or ``None`` if the table has none.

    Outside of the rows the nearest one counts.
    """
    if not table.full_ratio:
        return None
    row = row_of(table, ratio)
    outside = 0 if ratio < table.rows[0][0] else -1
    return table.full_ratio[outside if row is None else row]


def _constant(table: RuleTable, ratio: float, ramp: bool) -> float:
    """The authors' reading: the start of the row that holds the ratio."""
    low, _, start = table.rows[0]
    if ratio < low:
        return start * max(ratio, 0.0) / low if ramp else 0.0
    return float(table.rows[row_of(table, ratio) or 0][2])


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
