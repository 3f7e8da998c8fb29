"""What fitted rules keep on scenes that they were not fitted to, from the recorded samples alone.

The samples that a rule was fitted to flatter it. Cross-validation does not: every scene is judged
by rules, clusters included, that were fitted without it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from sphinx_framework.errors import ConfigError
from sphinx_framework.frame_plan import FramePlan, as_rendered
from sphinx_framework.policy.rule_table import RuleTable, plan_of
from sphinx_framework.study.calibrate.calibration import Calibration, calibrated
from sphinx_framework.study.calibrate.fit import Fit
from sphinx_framework.study.calibrate.samples import SceneSample

FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """One quality over all scenes, each held out once.

    mean: of the scenes' kept shares (objective ``paper``: of full diffusion's score; ``truth``: of
    the similarity that the plan of quality 1 reaches). met: share of the scenes that keep the
    quality. steps: mean number of solver steps of a target.
    """

    quality: float
    scenes: int
    mean: float
    met: float
    steps: float

    def text(self) -> str:
        """``quality 0.95 held out: 94% of 80 scenes keep it, 1.011 in the mean; 3.2 steps ...``."""
        return (
            f"quality {self.quality:g} held out: {self.met:.0%} of {self.scenes} scenes keep it, "
            f"{self.mean:.3f} in the mean; {self.steps:.2f} steps per frame in the mean"
        )


def held_out(
    samples: Sequence[SceneSample],
    qualities: Sequence[float],
    *,
    clusters: int | None,
    min_scenes: int,
    fit: Fit,
    folds: int = FOLDS,
) -> tuple[HeldOut, ...]:
    """Cross-validate :func:`~sphinx_framework.study.calibrate.calibration.calibrated`, by quality.

    Folds depend on the scenes' names only. Empty where there are fewer scenes than folds, or where
    a fold's rest cannot make the clusters asked for: nothing can be said then.
    """
    if len(samples) < folds:
        return ()
    mixed = sorted(samples, key=lambda s: hashlib.sha256(s.scene.encode()).hexdigest())
    judged: dict[float, list[tuple[float, float]]] = {quality: [] for quality in qualities}
    for fold in range(folds):
        rest = [sample for i, sample in enumerate(mixed) if i % folds != fold]
        try:
            calibration = calibrated(
                rest, qualities, clusters=clusters, min_scenes=min_scenes, fit=fit
            )
        except ConfigError:
            return ()
        for sample in mixed[fold::folds]:
            for quality in qualities:
                best = calibration.rules[0].quality
                own, whole = (
                    plans_for(rule_for(calibration, sample, q), sample) for q in (quality, best)
                )
                reference = whole if fit.objective == "truth" else None
                judged[quality].append(outcome(sample, own, reference))
    return tuple(summary(quality, outcomes) for quality, outcomes in judged.items())


def summary(quality: float, outcomes: Sequence[tuple[float, float]]) -> HeldOut:
    """One quality from the scenes' :func:`outcome`."""
    shares = [share for share, _ in outcomes]
    return HeldOut(
        quality=quality,
        scenes=len(shares),
        mean=fmean(shares),
        met=fmean(share >= quality for share in shares),
        steps=fmean(steps for _, steps in outcomes),
    )


def rule_for(calibration: Calibration, sample: SceneSample, quality: float) -> RuleTable:
    """The rule that a scene gets at one of the fitted qualities."""
    cluster = calibration.clustering.nearest(sample.embedding)
    return next(
        rule
        for rule in calibration.rules
        if rule.quality == quality and rule.cluster in (None, cluster)
    )


def plans_for(rule: RuleTable, sample: SceneSample) -> list[FramePlan]:
    """The plan of every target; of held ones, that they are served as rendered."""
    return [
        as_rendered(sample.num_steps) if t.held else plan_of(rule, t.ratio, sample.num_steps)
        for t in sample.targets
    ]


def outcome(
    sample: SceneSample, plans: Sequence[FramePlan], reference: Sequence[FramePlan] | None = None
) -> tuple[float, float]:
    """What a scene keeps under the plans of its targets, and their mean number of steps.

    reference: keep a share of the similarity that these plans reach; ``None``: of full diffusion's
    score.
    """
    steps = fmean(plan.cost(sample.num_steps) for plan in plans)
    if reference is None:
        own = fmean(t.scores[p.text()] for t, p in zip(sample.targets, plans, strict=True))
        return own / fmean(target.full for target in sample.targets), steps
    own, whole = (
        fmean(t.similarities[p.text()] for t, p in zip(sample.targets, chosen, strict=True))
        for chosen in (plans, reference)
    )
    return own / whole, steps
