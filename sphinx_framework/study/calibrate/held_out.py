"""What fitted rules keep on scenes that they were not fitted to, from the recorded samples alone.

The samples that a rule was fitted to flatter it. Cross-validation does not: every scene is judged
by rules, clusters included, that were fitted without it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from sphinx_framework.errors import ConfigError
from sphinx_framework.policy.rule_table import RuleTable, start_of
from sphinx_framework.study.calibrate.calibration import Calibration, calibrated
from sphinx_framework.study.calibrate.fit import Fit
from sphinx_framework.study.calibrate.samples import SceneSample

FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """One quality over all scenes, each held out once.

    mean: of the scenes' kept shares of full diffusion's score. met: share of the scenes that keep
    the quality. start: mean start of the targets, as a share of the steps: 1 is the regression's.
    """

    quality: float
    scenes: int
    mean: float
    met: float
    start: float

    def text(self) -> str:
        """``quality 0.95 held out: 94% of 80 scenes keep it, 1.011 in the mean``."""
        return (
            f"quality {self.quality:g} held out: {self.met:.0%} of {self.scenes} scenes keep it, "
            f"{self.mean:.3f} in the mean; mean start at {self.start:.0%} of the steps"
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
                rows = rule_for(calibration, sample, quality).rows
                starts = [start_of(rows, t.ratio, sample.num_steps) for t in sample.targets]
                judged[quality].append(outcome(sample, starts))
    return tuple(summary(quality, outcomes) for quality, outcomes in judged.items())


def summary(quality: float, outcomes: Sequence[tuple[float, float]]) -> HeldOut:
    """One quality from the scenes' :func:`outcome`."""
    shares = [share for share, _ in outcomes]
    return HeldOut(
        quality=quality,
        scenes=len(shares),
        mean=fmean(shares),
        met=fmean(share >= quality for share in shares),
        start=fmean(start for _, start in outcomes),
    )


def rule_for(calibration: Calibration, sample: SceneSample, quality: float) -> RuleTable:
    """The rule that a scene gets at one of the fitted qualities."""
    cluster = calibration.clustering.nearest(sample.embedding)
    return next(
        rule
        for rule in calibration.rules
        if rule.quality == quality and rule.cluster in (None, cluster)
    )


def outcome(sample: SceneSample, starts: Sequence[int]) -> tuple[float, float]:
    """Mean score of a scene's targets over that of full diffusion, and mean start over the steps.

    starts: of every target; one between two that were tried counts as the earlier.
    """
    pairs = list(zip(sample.targets, starts, strict=True))
    own = [t.scores[max(s for s in t.scores if s <= start)] for t, start in pairs]
    share = fmean(own) / fmean(target.full for target in sample.targets)
    return share, fmean(starts) / sample.num_steps
