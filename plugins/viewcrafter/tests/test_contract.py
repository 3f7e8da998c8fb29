"""The framework's contract of a diffusion model, and the prediction of its cache."""

from functools import cache
from typing import Any

import pytest
import torch

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
    asked_steps = range(0, 50, 3)
    capabilities = plugin.sphinx_framework_components()[0].capabilities

    def make(self) -> ViewCrafter:
        return tiny()


@pytest.fixture
def prepared(tiny_model: ViewCrafter) -> tuple[torch.Tensor, Any]:
    return TestViewCrafter().prepared(tiny_model)
