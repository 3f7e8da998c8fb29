"""Scene clusters: k-means over embeddings, read as the step policy will read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from sphinx_framework.errors import ConfigError
from sphinx_framework.policy.rule_lookup import nearest_centre, unit
from sphinx_framework.study.calibrate.samples import SceneSample

LARGEST_AUTO = 4
# Below this silhouette the clusters overlap so much that one rule for all is the honest choice.
SMALLEST_SILHOUETTE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """Label per scene, unit-length centres, and how well separated they are.

    No centres means one rule for all scenes.
    """

    labels: tuple[int, ...]
    centres: tuple[tuple[float, ...], ...]
    silhouette: float | None

    @property
    def count(self) -> int:
        """Number of groups that get a rule of their own."""
        return max(1, len(self.centres))

    def nearest(self, embedding: Sequence[float]) -> int:
        """Cluster of a scene: the centre of the largest cosine; 0 without centres."""
        if not self.centres:
            return 0
        return nearest_centre(np.array(embedding), np.array(self.centres)).cluster


def cluster_scenes(
    samples: Sequence[SceneSample], count: int | None, min_scenes: int
) -> Clustering:
    """Cluster scenes into ``count`` groups, or into as many as are well separated.

    A scene belongs to the centre of the largest cosine, as in the step policy; that can differ from
    the k-means label near a border.

    Raises :class:`ConfigError` when the clusters asked for cannot be made.
    """
    single = Clustering(labels=(0,) * len(samples), centres=(), silhouette=None)
    embedded = bool(samples) and all(sample.embedding for sample in samples)
    if count == 1 or (count is None and not embedded):
        return single
    if not embedded:
        raise ConfigError(
            f"{count} clusters need scene embeddings, and the pipeline has no embedder.",
            hint="Add [pipeline.embedder], or ask for --clusters 1.",
        )
    points = unit(np.array([sample.embedding for sample in samples]))
    if count is not None:
        found = _clustered(points, count)
        if found is None or min(np.bincount(found.labels, minlength=count)) < min_scenes:
            raise ConfigError(
                f"{len(samples)} scenes cannot make {count} clusters of {min_scenes} or more.",
                hint="Give more or more varied scenes, fewer --clusters, or smaller --min-scenes.",
            )
        return found
    best = single
    for k in range(2, LARGEST_AUTO + 1):
        found = _clustered(points, k)
        if found is None or min(np.bincount(found.labels, minlength=k)) < min_scenes:
            continue
        if (found.silhouette or 0) > max(SMALLEST_SILHOUETTE, best.silhouette or 0):
            best = found
    return best


def _clustered(points: Float[np.ndarray, "s d"], count: int) -> Clustering | None:
    """K-means into ``count`` groups, or ``None`` when there are too few distinct scenes."""
    means, metrics = _sklearn()
    if len(np.unique(points.round(6), axis=0)) <= count:
        return None
    fitted = means(n_clusters=count, n_init=10, random_state=0).fit(points)
    centres = unit(fitted.cluster_centers_)
    labels = [nearest_centre(point, centres).cluster for point in points]
    if len(np.unique(labels)) < count:
        return None
    return Clustering(
        labels=tuple(labels),
        centres=tuple(tuple(float(x) for x in centre) for centre in centres),
        silhouette=float(metrics(points, labels)),
    )


def _sklearn() -> tuple[Any, Any]:
    try:
        from sklearn.cluster import KMeans
        from sklearn.metrics import silhouette_score
    except ImportError:
        raise ConfigError(
            "clustering needs scikit-learn.", hint="pip install 'sphinx-framework[study]'"
        ) from None
    return KMeans, silhouette_score
