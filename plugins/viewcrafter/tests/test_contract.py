"""The framework's contract of a diffusion model, and the prediction of its cache."""

from functools import cache
from typing import Any

import pytest
import torch

from sphinx_framework.engine.footprint import predicted_cache_bytes
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.policy.schedule import Full, Schedule
from sphinx_framework.testing.contracts import DiffusionContract
from sphinx_framework_viewcrafter import plugin
from sphinx_framework_viewcrafter.config import tiny_config
from sphinx_framework_viewcrafter.model import ViewCrafter

CPU = torch.device("cpu")


@cache
def tiny() -> ViewCrafter:
    return ViewCrafter(tiny_config(), CPU)


class TestViewCrafter(DiffusionContract):
    size = (32, 48)
    capabilities = plugin.sphinx_framework_components()[0].capabilities

    def make(self) -> ViewCrafter:
        return tiny()


@pytest.fixture
def prepared(tiny_model: ViewCrafter) -> tuple[torch.Tensor, Any]:
    return TestViewCrafter().prepared(tiny_model)


def test_the_cache_size_is_predicted_without_computing(
    tiny_model: ViewCrafter, prepared: tuple[torch.Tensor, Any]
) -> None:
    x, condition = prepared
    every = tuple(range(len(x)))
    schedule = Schedule(
        actions=(Full(step=0, next_step=10, frames=every, record=True),),
        starts=(0,) * len(x),
        num_steps=10,
    )
    recorded = LatentCache()
    recorded.begin_record(0)
    tiny_model.denoise(x, 0, condition, RecordExecutor(len(x), recorded))
    assert predicted_cache_bytes(tiny_model, x, condition, schedule) == recorded.bytes_peak
