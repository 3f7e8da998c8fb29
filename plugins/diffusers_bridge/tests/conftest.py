"""A tiny Stable Video Diffusion pipeline with random weights, saved as a stock one."""

import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from tiny import stock_video


@pytest.fixture(scope="session")
def stock() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return stock_video.tiny_pipeline()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stock_video.saved(tmp_path_factory.mktemp("stable-video"))
