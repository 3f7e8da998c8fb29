import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from goldens import Golden, single_thread

from sphinx_framework_dust3r.config import DUSt3RConfig, NetworkConfig
from sphinx_framework_dust3r.pairs import PairPredictions

# Pointmaps of known cameras, shared with the plugin's measurements.
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

ReadPairs = Callable[[Golden], PairPredictions]


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """As the golden files were made."""
    with single_thread():
        yield


@pytest.fixture(scope="session")
def read_pairs() -> ReadPairs:
    """Reads the pairs of a golden file of the geometry."""

    def read(file: Golden) -> PairPredictions:
        tensors = file.tensors
        return PairPredictions(
            edges=tuple((i, j) for i, j in tensors["in/edges"].tolist()),
            first_points=tensors["in/pred1_pts3d"],
            first_confidence=tensors["in/pred1_conf"],
            second_points=tensors["in/pred2_pts3d_in_other_view"],
            second_confidence=tensors["in/pred2_conf"],
        )

    return read


@pytest.fixture(scope="session")
def tiny_config() -> DUSt3RConfig:
    """A random network small enough for a test, on photos of 64 pixels."""
    sizes = NetworkConfig(
        head="dpt",
        encoder_width=16,
        encoder_depth=1,
        encoder_heads=2,
        decoder_width=8,
        decoder_depth=4,
        decoder_heads=2,
        dpt_features=4,
        dpt_last=4,
        dpt_channels=(4, 4, 4, 4),
    )
    return DUSt3RConfig(weights="random", network=sizes, image_size=64)
