import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sphinx_framework.errors import ConfigError
from sphinx_framework_dust3r.alignment.spanning_tree import maximum_spanning_tree
from sphinx_framework_dust3r.config import DUSt3RConfig
from sphinx_framework_dust3r.network.pair_network import PairNetwork
from sphinx_framework_dust3r.pairs import PairPredictions, pair_graph, predict_pairs
from sphinx_framework_dust3r.weights import build_network

CPU = torch.device("cpu")


def test_two_images_make_the_pairs_one_zero_and_zero_one() -> None:
    assert pair_graph(2, "complete") == ((1, 0), (0, 1))


def test_one_image_is_paired_with_itself() -> None:
    assert pair_graph(1, "complete") == ((0, 0),)


@settings(deadline=None)
@given(
    count=st.integers(2, 9),
    graph=st.sampled_from(["complete", "swin-1", "swin-3", "logwin-2", "oneref-0", "oneref-1"]),
)
def test_every_graph_is_symmetric_and_connected(count: int, graph: str) -> None:
    edges = pair_graph(count, graph)
    assert len(set(edges)) == len(edges)
    assert {(j, i) for i, j in edges} == set(edges)
    pixel = torch.ones(len(edges), 1, 1)
    pairs = PairPredictions(
        edges=edges,
        first_points=torch.ones(len(edges), 1, 1, 3),
        first_confidence=pixel,
        second_points=torch.ones(len(edges), 1, 1, 3),
        second_confidence=pixel,
    )
    assert pairs.num_images == count
    assert len(maximum_spanning_tree(pairs)) == count - 1


def test_windows_reach_so_many_images_on() -> None:
    assert pair_graph(4, "swin-2")[:5] == ((0, 1), (0, 2), (1, 2), (1, 3), (2, 3))
    assert pair_graph(5, "logwin-3")[:3] == ((0, 1), (0, 2), (0, 4))


def test_a_reference_photo_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="no photo 5 among 3"):
        pair_graph(3, "oneref-5")


def test_pair_batches_and_single_encodings_change_nothing(tiny_config: DUSt3RConfig) -> None:
    network = build_network(tiny_config, CPU)
    images = torch.rand(3, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    edges = pair_graph(3, "complete")
    together = predict_pairs(network, images, edges, batch=4)
    single = predict_pairs(network, images, edges, batch=1)
    for name in ("first_points", "second_points", "first_confidence", "second_confidence"):
        ours, theirs = getattr(together, name), getattr(single, name)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_every_image_is_encoded_once(tiny_config: DUSt3RConfig) -> None:
    encoded: list[int] = []

    class Counting(PairNetwork):
        def encode(self, images: torch.Tensor) -> object:  # type: ignore[override]
            encoded.append(len(images))
            return super().encode(images)

    network = Counting(tiny_config.network).eval()
    predict_pairs(network, torch.rand(4, 3, 32, 32), pair_graph(4, "complete"))
    assert sum(encoded) == 4


def test_image_confidence_is_the_best_over_pairs() -> None:
    pairs = PairPredictions(
        edges=((1, 0), (0, 1)),
        first_points=torch.ones(2, 1, 1, 3),
        first_confidence=torch.tensor([2.0, 5.0])[:, None, None],
        second_points=torch.ones(2, 1, 1, 3),
        second_confidence=torch.tensor([4.0, 3.0])[:, None, None],
    )
    assert pairs.image_confidence().flatten().tolist() == [5.0, 3.0]
