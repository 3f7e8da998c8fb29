"""Tiny random SEVA models, and the repository's brute-force oracle of stale steps."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sphinx_framework.testing.fakes import FakeConfig, FakeRegression, fake_scene
from sphinx_framework.types import Scene
from sphinx_framework_seva.conditioning import SevaCondition
from sphinx_framework_seva.config import SevaConfig
from sphinx_framework_seva.model import SevaModel

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "support"))

TINY: dict[str, Any] = {
    "weights": "random",
    "vae": "random-tiny",
    "clip": "random-tiny",
    "model_channels": 32,
    "channel_mult": (1, 1),
    "num_res_blocks": 1,
    "attention_resolutions": (2, 1),
    "num_head_channels": 16,
    "context_dim": 16,
}


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    return TINY


@pytest.fixture(scope="session")
def make() -> Callable[..., SevaModel]:
    """Build a tiny random model with some options changed."""
    return lambda **options: SevaModel(SevaConfig(**{**TINY, **options}), torch.device("cpu"))


@pytest.fixture(scope="session")
def model(make: Callable[..., SevaModel]) -> SevaModel:
    return make()


@pytest.fixture(scope="session")
def clip() -> Callable[..., tuple[torch.Tensor, SevaCondition]]:
    """Random state and condition of one clip of a random scene."""

    def prepared(
        model: SevaModel,
        targets: int = 3,
        inputs: int = 2,
        size: tuple[int, int] = (64, 48),
        seed: int = 0,
    ) -> tuple[torch.Tensor, SevaCondition]:
        scene = fake_scene(targets, inputs, size, seed)
        layout = model.layouts(scene)[0]
        clean = model.encode(photos_of(scene, layout))
        coarse = FakeRegression(FakeConfig(), torch.device("cpu")).predict(scene)
        generator = torch.Generator().manual_seed(seed + 7)
        x = 5 * torch.randn(clean.shape, generator=generator)
        return x, model.condition(scene, coarse, layout, clean, model.sampler(50))

    return prepared


def photos_of(scene: Scene, layout: Any) -> torch.Tensor:
    """Pixels of a clip's slots; targets get the first photo."""
    return torch.stack([scene.images[s.index if s.kind == "input" else 0] for s in layout.slots])
