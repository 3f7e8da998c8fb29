"""A tiny model registered with ffgs, saved as its pipelines are."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from tiny import splat_model


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return splat_model.saved(tmp_path_factory.mktemp("tiny-splat"))
