"""From recorded samples to fitted rules: pure, so that anyone can fit the same rules again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sphinx_framework.study.calibrate.clusters import Clustering, cluster_scenes
from sphinx_framework.study.calibrate.fit import Fit, FittedRule, Observed, fit_rules
from sphinx_framework.study.calibrate.samples import SceneSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Fitted rules by falling quality and rising cluster, and the clusters they belong to."""

    rules: tuple[FittedRule, ...]
    clustering: Clustering


def calibrated(
    samples: Sequence[SceneSample],
    qualities: Sequence[float],
    *,
    clusters: int | None,
    min_scenes: int,
    fit: Fit,
) -> Calibration:
    """Cluster the scenes and fit a rule for every quality and cluster.

    The order of the samples does not matter. Raises :class:`~sphinx_framework.errors.ConfigError`
    when the clusters asked for cannot be made.
    """
    ordered = sorted(samples, key=lambda sample: sample.scene)
    clustering = cluster_scenes(ordered, clusters, min_scenes)
    rules: list[FittedRule] = []
    for cluster in range(clustering.count):
        labelled = zip(ordered, clustering.labels, strict=True)
        members = [sample for sample, label in labelled if label == cluster]
        rules += fit_rules(
            Observed.of(members),
            qualities,
            cluster=cluster if clustering.centres else None,
            num_steps=ordered[0].num_steps,
            fit=fit,
        )
    return Calibration(
        rules=tuple(sorted(rules, key=lambda rule: (-rule.quality, rule.cluster or 0))),
        clustering=clustering,
    )
