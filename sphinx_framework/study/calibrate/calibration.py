"""From recorded samples to rules: pure, so that anyone can fit the same rules again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sphinx_framework.config import PipelineConfig
from sphinx_framework.policy.rule_table import RuleTable
from sphinx_framework.policy.rules import SCHEMA, Clusters, Provenance, Rules
from sphinx_framework.study.calibrate.clusters import Clustering, cluster_scenes
from sphinx_framework.study.calibrate.fit import Fit, Observed, fit_rules
from sphinx_framework.study.calibrate.samples import SceneSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Fitted rules by falling quality and rising cluster, and the clusters they belong to."""

    rules: tuple[RuleTable, ...]
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

    The order of the samples does not matter. Under objective ``truth``
    quality 1, the best plan, is fitted, too. Raises
    :class:`~sphinx_framework.errors.ConfigError` when the clusters asked for cannot be made.
    """
    if fit.objective == "truth":
        qualities = sorted({1.0, *qualities}, reverse=True)
    ordered = sorted(samples, key=lambda sample: sample.scene)
    clustering = cluster_scenes(ordered, clusters, min_scenes)
    rules: list[RuleTable] = []
    for cluster in range(clustering.count):
        labelled = zip(ordered, clustering.labels, strict=True)
        members = [sample for sample, label in labelled if label == cluster]
        rules += fit_rules(
            Observed.of(members, fit.objective),
            qualities,
            cluster=cluster if clustering.centres else None,
            fit=fit,
        )
    return Calibration(
        rules=tuple(sorted(rules, key=lambda rule: (-rule.quality, rule.cluster or 0))),
        clustering=clustering,
    )


def rules_of(
    config: PipelineConfig,
    calibration: Calibration,
    fit: Fit,
    *,
    name: str,
    dataset: str,
    command: str,
    notes: str,
) -> Rules:
    """The rules of a pipeline, with where they come from: what a rule file holds."""
    used = {role: component.use for role, component in config.pipeline.items()}
    centres = calibration.clustering.centres
    clusters = Clusters(
        embedder=used.get("embedder", ""),
        centres=tuple(tuple(round(x, 6) for x in centre) for centre in centres),
    )
    return Rules(
        schema=SCHEMA,
        name=name,
        num_steps=config.num_steps,
        gamma=config.gamma,
        objective=fit.objective,
        provenance=Provenance(
            regression=used["regression"],
            diffusion=used["diffusion"],
            dataset=dataset,
            date=date.today().isoformat(),
            scorer=used["quality"],
            source=command,
            notes=notes,
            confidence=fit.confidence,
            min_samples=fit.min_samples,
        ),
        clusters=clusters if centres else Clusters(),
        table=calibration.rules,
    )
