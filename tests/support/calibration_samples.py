"""Recorded scenes of a calibration that never ran, and the plan that rules give one of them."""

import numpy as np

from sphinx_framework.frame_plan import full_diffusion
from sphinx_framework.policy.rule_table import plan_of
from sphinx_framework.study.calibrate.fit import Fit, Observed, fit_rules
from sphinx_framework.study.calibrate.samples import SceneSample, TargetSample

STEPS = 50
FULL = full_diffusion(STEPS).text()
PLANS = ("0x1", "0x3", "0x3:dpmpp_2m", "0", "20x2", "20", "40x1", "40", "50")


def scene(name, ratios, kept, plans=PLANS):
    """A recorded scene: one kept share per plan beside full diffusion, for every target.

    Its similarities to the truth are the same numbers times 0.4.
    """
    targets = []
    for ratio, row in zip(ratios, kept, strict=True):
        shares = {FULL: 1.0, **dict(zip(plans, map(float, row), strict=True))}
        targets.append(
            TargetSample(
                ratio=ratio,
                reference=2.5,
                full=2.0,
                scores={plan: 2 * share for plan, share in shares.items()},
                similarities={plan: 0.4 * share for plan, share in shares.items()},
            )
        )
    return SceneSample(
        scene=name, num_steps=STEPS, settings={}, embedding=(), targets=tuple(targets)
    )


def planned(kept, quality=0.95, **fit):
    """The plan at ratio 0.8 of eight scenes that keep the same."""
    rows = np.tile([kept.get(plan, 0.5) for plan in PLANS], (10, 1))
    samples = [scene(f"s{i}", np.full(10, 0.8), rows) for i in range(8)]
    how = Fit(bins=1, **fit)
    rule = fit_rules(Observed.of(samples, how.objective), (quality,), cluster=None, fit=how)[0]
    return plan_of(rule, 0.8, STEPS).text()
