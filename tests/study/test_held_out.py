"""Cross-validation of the rules: every scene judged once, by rules that never saw it."""

import pytest

from sphinx_framework.study.calibrate.calibration import calibrated
from sphinx_framework.study.calibrate.fit import Fit
from sphinx_framework.study.calibrate.held_out import held_out, plans_for, rule_for
from sphinx_framework.study.calibrate.samples import SceneSample, TargetSample

STEPS = 4
FIT = Fit(bins=1, min_samples=2, scenes_met=0.5)


def scene(name, kept, embedding=()):
    """Two targets that keep ``kept`` from step 2, all from step 0, and half as rendered."""
    target = TargetSample(
        ratio=0.5, reference=4.0, full=2.0, scores={"0x4": 2.0, "0": 2.0, "2": 2.0 * kept, "4": 1.0}
    )
    return SceneSample(
        scene=name,
        num_steps=STEPS,
        settings={},
        embedding=tuple(embedding),
        targets=(target, target),
    )


def judged(samples, quality=0.9, fit=FIT, clusters=1):
    return held_out(samples, [quality], clusters=clusters, min_scenes=2, fit=fit)


def test_scenes_alike_keep_what_the_others_promise():
    (told,) = judged([scene(f"s{i}", 0.97) for i in range(10)])
    assert told.scenes == 10
    assert told.met == 1
    assert told.mean == pytest.approx(0.97)
    assert "100% of 10 scenes" in told.text()


def test_a_scene_that_fails_by_the_others_rule_counts_as_failed():
    samples = [scene(f"s{i}", 0.99) for i in range(19)] + [scene("odd", 0.5)]
    (told,) = judged(samples)
    assert told.met == pytest.approx(19 / 20)
    assert told.mean == pytest.approx((19 * 0.99 + 0.5) / 20)


def test_the_order_of_the_scenes_does_not_matter():
    samples = [scene(f"s{i}", 0.85 + 0.01 * i) for i in range(12)]
    assert judged(samples) == judged(samples[::-1])


def test_a_scene_is_judged_by_the_rule_of_its_cluster():
    left = [scene(f"l{i}", 0.99, (1.0, 0.01 * i)) for i in range(10)]
    right = [scene(f"r{i}", 0.5, (0.01 * i, 1.0)) for i in range(10)]
    samples = left + right
    calibration = calibrated(samples, [0.9], clusters=2, min_scenes=2, fit=FIT)
    starts = [plans_for(rule_for(calibration, s, 0.9), s)[0].start for s in samples]
    assert starts == [2] * 10 + [0] * 10
    (told,) = judged(samples, clusters=2)
    assert told.met == 1


@pytest.mark.parametrize(("count", "clusters"), [(4, 1), (10, 2)])
def test_nothing_is_said_where_nothing_can_be(count, clusters):
    """Too few scenes for the folds, or no embeddings to cluster."""
    assert judged([scene(f"s{i}", 0.97) for i in range(count)], clusters=clusters) == ()
