"""Scene clusters: k-means over embeddings, by scikit-learn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sphinx_framework.errors import ConfigError
from sphinx_framework.study.samples import SceneSample

LARGEST_AUTO = 4
# Below this silhouette the clusters overlap so much that one rule for all is the honest choice.
SMALLEST_SILHOUETTE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """Label per scene, unit-length centres, and how well separated they are."""

    labels: tuple[int, ...]
    centres: tuple[tuple[float, ...], ...]
    silhouette: float | None


def cluster_scenes(
    samples: Sequence[SceneSample], count: int | None, min_scenes: int
) -> Clustering:
    """Cluster scenes into ``count`` groups, or into as many as are well separated.

    Raises :class:`ConfigError` when more clusters are asked for than the scenes allow.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    single = Clustering(labels=(0,) * len(samples), centres=(), silhouette=None)
    if count == 1 or not all(sample.embedding for sample in samples):
        return single
    points = np.array([sample.embedding for sample in samples])
    if count is not None and count > len(samples) // max(1, min_scenes):
        raise ConfigError(
            f"{len(samples)} scenes cannot make {count} clusters of {min_scenes} or more.",
            hint="Give more scenes, or fewer clusters.",
        )
    best = single
    for k in [count] if count is not None else range(2, LARGEST_AUTO + 1):
        if len(samples) <= k:
            break
        fitted = KMeans(n_clusters=k, n_init=10, random_state=0).fit(points)
        score = float(silhouette_score(points, fitted.labels_))
        enough = np.bincount(fitted.labels_).min() >= min_scenes
        better = score > max(SMALLEST_SILHOUETTE, best.silhouette or 0)
        if count is not None or (enough and better):
            centres = fitted.cluster_centers_
            centres = centres / np.linalg.norm(centres, axis=1, keepdims=True)
            best = Clustering(
                labels=tuple(int(label) for label in fitted.labels_),
                centres=tuple(tuple(float(x) for x in centre) for centre in centres),
                silhouette=score,
            )
    return best
