"""The k-logic: from a quality ratio to a plan, by the k rules of the scene cluster."""

import math

import numpy as np
import torch

from sphinx_framework.errors import ConfigError
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.policy.rule_lookup import (
    Lookup,
    bracket,
    full_ratio_of,
    nearest_centre,
    row_of,
)
from sphinx_framework.policy.rules import load_rules
from sphinx_framework.protocols import Embedder
from sphinx_framework.types import QualityReport, Scene, StartSteps
from sphinx_framework_klogic.centres import cluster_centres
from sphinx_framework_klogic.config import KLogicConfig


class KLogicSteps:
    """``klogic``: plans from measured rule tables (paper section 5.1).

    Rules with several clusters need either a fixed ``cluster`` or a scene embedder among the
    ``parts``; without both, :class:`ConfigError` says so when the policy is built.
    """

    def __init__(self, config: KLogicConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        self.config = config
        self.source = load_rules(config.rules)
        self.rules = self.source.rules
        self.lookup = Lookup(
            style=config.lookup,
            below_first=config.below_first,
            max_start=config.max_start,
            multiple_of=config.multiple_of,
        )
        self._check_cluster()
        clustered = self.rules.num_clusters is not None and config.cluster is None
        self._chooser = self._choose_by(parts.embedder) if clustered else None

    @property
    def qualities(self) -> tuple[float, ...]:
        """The qualities that the rules were measured at."""
        return self.rules.qualities

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        """Return the plan of every target; one whose ratio is no number gets that of ratio 0."""
        bracket(self.rules, quality)
        candidates, notes = self._clusters(scene)
        ratios = [float(r) for r in report.ratio]
        known = [0.0 if math.isnan(r) else r for r in ratios]
        plans = [
            max(
                (self.lookup.plan(self.rules, c, quality, r, num_steps) for c in candidates),
                key=lambda found: (found.cost(num_steps), -found.start),
            )
            for r in known
        ]
        warnings = self._thin_rows(candidates[0], quality, known)
        if any(math.isnan(r) for r in ratios):
            warnings.append("a quality ratio is not a number: that frame gets the plan of ratio 0")
        if self.rules.placeholder:
            warnings.append(
                f"rules {self.rules.name!r} are a placeholder: their numbers were not measured"
            )
        return StartSteps(
            steps=tuple(found.start for found in plans),
            walks=tuple(found.walk for found in plans),
            cluster=candidates[0],
            full_ratio=self._full_ratio(candidates[0], quality, known),
            objective=self.rules.objective,
            notes=tuple(notes),
            warnings=tuple(warnings),
        )

    def _full_ratio(
        self, cluster: int | None, target: float, ratios: list[float]
    ) -> tuple[float, ...] | None:
        """What full diffusion reached on the frames that the rules were made from."""
        measured = [q for q in bracket(self.rules, target)[:2] if q != 1] or self.rules.qualities
        table = self.rules.table(measured[-1], cluster)
        found = [full_ratio_of(table, ratio) for ratio in ratios]
        return None if None in found else tuple(value for value in found if value is not None)

    def _clusters(self, scene: Scene) -> tuple[tuple[int | None, ...], list[str]]:
        """The scene's cluster first, then others too near to rule out; and what to say of it."""
        if self._chooser is None:
            return (self.config.cluster,), []
        embedder, centres = self._chooser
        embedding = embedder.embed(scene.images).detach().float().cpu().numpy()
        choice = nearest_centre(embedding, centres, self.config.min_margin)
        names = self.rules.clusters.names
        name = f" ({names[choice.cluster]})" if names else ""
        notes = [
            f"scene cluster {choice.cluster}{name}: cosine {choice.cosine:.3f}, "
            f"margin {choice.margin:.3f}"
        ]
        if len(choice.candidates) > 1:
            near = ", ".join(str(c) for c in choice.candidates)
            notes.append(f"clusters {near} lie within the margin: the dearest plan counts")
        return choice.candidates, notes

    def _thin_rows(self, cluster: int | None, target: float, ratios: list[float]) -> list[str]:
        """Say which frames rest on rows with too few samples."""
        least = self.rules.provenance.min_samples
        lower, higher, _ = bracket(self.rules, target)
        frames = set()
        for quality in {lower, higher} - {1.0}:
            table = self.rules.table(quality, cluster)
            for frame, ratio in enumerate(ratios):
                row = row_of(table.rows, ratio)
                if table.samples and row is not None and table.samples[row] < least:
                    frames.add(frame)
        if not frames:
            return []
        listed = ", ".join(str(frame) for frame in sorted(frames))
        return [f"the rules rest on fewer than {least} samples for frames {listed}"]

    def _choose_by(self, embedder: Embedder | None) -> tuple[Embedder, np.ndarray]:
        """The embedder, and the cluster centres that belong to it."""
        if embedder is None:
            wanted = self.rules.clusters.embedder or "clip"
            raise ConfigError(
                f"rules {self.rules.name!r} have {self.rules.num_clusters} scene clusters, and the "
                f"pipeline has no embedder to choose one.",
                hint=f"Add [pipeline.embedder] use = {wanted!r}, or fix the cluster "
                f"(steps.cluster=0).",
            )
        own, wanted = getattr(embedder, "name", ""), self.rules.clusters.embedder
        if own and wanted and own != wanted:
            raise ConfigError(
                f"rules {self.rules.name!r} have clusters of embedder {wanted!r}, and the pipeline "
                f"has {own!r}: their vectors have nothing to do with each other.",
                hint=f"Set embedder.use={wanted}, calibrate for this pipeline, or fix the cluster "
                "(steps.cluster=0).",
            )
        return embedder, cluster_centres(self.config, self.source, embedder).numpy()

    def _check_cluster(self) -> None:
        count, chosen = self.rules.num_clusters, self.config.cluster
        if chosen is None or (count is not None and chosen < count):
            return
        has = "no clusters" if count is None else f"clusters 0 to {count - 1}"
        raise ConfigError(
            f"cluster = {chosen}, but rules {self.config.rules} have {has}.",
            hint="Leave cluster unset, or name one that the rules have.",
        )
