"""Plans that keep alike: frames of one request share one, where no bin has a reason of its own."""

import pytest
from calibration_samples import planned, scene

from sphinx_framework.policy.rule_table import row_plan
from sphinx_framework.study.calibrate.fit import Fit, Observed, fit_rules
from sphinx_framework.study.calibrate.ties import TIE

PLANS = ("50", "40x1", "0x1")


def plans_of_bins(worse, better, quality):
    """Chosen for ratios around .5 and around .9, of what each plan keeps there, in PLANS' order."""
    scenes = [
        scene(f"scene-{i}", [0.5] * 10 + [0.9] * 10, [worse] * 10 + [better] * 10, PLANS)
        for i in range(6)
    ]
    fit = Fit(bins=2, objective="truth")
    rule = fit_rules(Observed.of(scenes, "truth"), (quality,), cluster=None, fit=fit)[0]
    return [row_plan(rule, row).text() for row in range(len(rule.rows))]


def test_of_equally_dear_plans_the_one_that_keeps_more_is_taken():
    assert planned({"0x1": 0.97, "40x1": 0.99}) == "40x1"


@pytest.mark.parametrize("quality", [1.0, 0.999])
def test_what_is_alike_in_a_bin_is_decided_by_all_bins(quality):
    """In the first bin 0x1 is ahead by less than a tie, in the second 40x1 by as much and more."""
    ahead = 1.2 * (1 + 0.4 * TIE)
    chosen = plans_of_bins((1.1, 1.2, ahead), (1.1, 1.2 * (1 + 0.8 * TIE), 1.2), quality)
    assert set(chosen) == {"40x1"}


def test_a_bin_keeps_a_plan_of_its_own_where_it_is_more_than_alike():
    ahead = 1.2 * (1 + 3 * TIE)
    chosen = plans_of_bins((1.1, 1.2, ahead), (1.1, 1.2 * (1 + 9 * TIE), 1.2), 1.0)
    assert chosen == ["0x1", "40x1"]
