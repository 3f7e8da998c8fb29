"""Clusters of scenes as the step policy will see them."""

import numpy as np
import pytest

from sphinx_framework.errors import ConfigError
from sphinx_framework.study.calibrate.clusters import cluster_scenes
from sphinx_framework.study.calibrate.samples import SceneSample


def scenes(embeddings):
    return [
        SceneSample(
            scene=f"s{i}", num_steps=50, settings={}, embedding=tuple(map(float, e)), targets=()
        )
        for i, e in enumerate(embeddings)
    ]


def groups(count, each=10, spread=0.05, dimensions=5):
    rng = np.random.default_rng(count)
    points = np.repeat(np.eye(dimensions)[:count], each, axis=0)
    points = points + spread * rng.standard_normal(points.shape)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_well_separated_groups_are_found(count):
    found = cluster_scenes(scenes(groups(count)), None, 8)
    assert found.count == count
    labels = np.array(found.labels).reshape(count, 10)
    assert (labels == labels[:, :1]).all()
    assert len(set(labels[:, 0])) == count


def test_one_cloud_stays_one_cluster():
    cloud = 1 + 0.3 * np.random.default_rng(0).standard_normal((40, 20))
    found = cluster_scenes(scenes(cloud), None, 8)
    assert found.centres == ()
    assert set(found.labels) == {0}


def test_groups_that_are_too_small_get_no_rule_of_their_own():
    assert cluster_scenes(scenes(groups(3, each=4)), None, 8).count == 1


@pytest.mark.parametrize("spread", [0.05, 0.6])
def test_a_scene_belongs_to_the_centre_of_the_largest_cosine(spread):
    points = groups(2, spread=spread)
    found = cluster_scenes(scenes(points), 2, 1)
    assert list(found.labels) == list((points @ np.array(found.centres).T).argmax(1))
    np.testing.assert_allclose(np.linalg.norm(found.centres, axis=1), 1)


def test_more_clusters_than_scenes_allow_are_refused():
    with pytest.raises(ConfigError, match="cannot make 3 clusters of 8"):
        cluster_scenes(scenes(groups(2, each=5)), 3, 8)


def test_identical_scenes_make_no_clusters():
    with pytest.raises(ConfigError, match="cannot make 2 clusters"):
        cluster_scenes(scenes(np.tile([1.0, 0, 0], (20, 1))), 2, 2)
    assert cluster_scenes(scenes(np.tile([1.0, 0, 0], (20, 1))), None, 2).count == 1


def test_clusters_without_an_embedder_are_refused():
    with pytest.raises(ConfigError, match="no embedder"):
        cluster_scenes(scenes([()] * 20), 2, 2)
    assert cluster_scenes(scenes([()] * 20), None, 2).count == 1


def test_the_same_scenes_give_the_same_clusters():
    first, second = (cluster_scenes(scenes(groups(3)), None, 8) for _ in range(2))
    assert first == second
