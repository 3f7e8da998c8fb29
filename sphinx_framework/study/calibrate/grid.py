"""Every plan that calibration tried, side by side: what a number of the dial can buy at all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sphinx_framework.study.calibrate.fit import Observed
from sphinx_framework.study.calibrate.samples import SceneSample
from sphinx_framework.types import Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class GridPoint:
    """One plan over all targets that plans decide about.

    plan: as :meth:`FramePlan.text`. cost: solver steps of a frame. quality: mean, in the
    objective's measure (``truth``: (SSIM + GMS) / 2; ``paper``: share of full diffusion's score).
    share: of the highest mean of the grid. front: no plan of equal or lower cost has a higher mean.
    """

    plan: str
    cost: int
    quality: float
    share: float
    front: bool


def grid_points(samples: Sequence[SceneSample], objective: Objective) -> tuple[GridPoint, ...]:
    """The grid by rising cost, and by falling quality among plans of equal cost.

    Targets that are served as rendered whatever the plan do not count; none left: no points.
    """
    observed = Observed.of(samples, objective)
    if len(observed.ratio) == 0:
        return ()
    means = observed.means
    best, reached, points = max(means.values()), -np.inf, []
    costs = {plan: plan.cost(observed.num_steps) for plan in means}
    for plan in sorted(means, key=lambda p: (costs[p], -means[p], p.text())):
        front = means[plan] > reached
        reached = max(reached, means[plan])
        points.append(
            GridPoint(
                plan=plan.text(),
                cost=costs[plan],
                quality=means[plan],
                share=means[plan] / best,
                front=front,
            )
        )
    return tuple(points)
