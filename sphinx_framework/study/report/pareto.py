"""Which systems no other one beats."""

from collections.abc import Mapping

import numpy as np

from sphinx_framework.study.report.summary import Rows, intervals

MARK = "front"


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Systems that no other beats in both seconds (less) and quality (more), by seconds."""
    ranked = sorted(points, key=lambda name: (points[name][0], -points[name][1]))
    best, front = float("-inf"), []
    for name in ranked:
        if points[name][1] > best:
            front.append(name)
            best = points[name][1]
    return front


def mean_points(rows: Rows, quality: str, cost: str = "seconds") -> dict[str, tuple[float, float]]:
    """Mean cost and mean quality by system, for those that have both."""
    costs, values = intervals(rows, cost), intervals(rows, quality)
    points = {name: (costs[name].mean, values[name].mean) for name in rows}
    return {name: point for name, point in points.items() if np.isfinite(point).all()}


def front_marks(rows: Rows, quality: str = "kept") -> dict[str, str]:
    """Table marks of the front of seconds against a quality figure."""
    return dict.fromkeys(pareto(mean_points(rows, quality)), MARK)
