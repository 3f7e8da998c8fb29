"""What several tests of the score take for known."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from sphinx_framework.testing.scenes import room_scene
from sphinx_framework.types import ScoreEvidence


@pytest.fixture(scope="session")
def make_evidence() -> Callable[..., ScoreEvidence]:
    """Evidence of a room's targets: soft renders, and warps that are nearly the truth."""

    def made(size: tuple[int, int] = (48, 64), warps: int = 2) -> ScoreEvidence:
        scene = room_scene(5, size)
        truth = scene.target_images
        assert truth is not None
        generator = torch.Generator().manual_seed(2)
        renders = functional.avg_pool2d(truth, 3, 1, 1)
        noise = torch.randn((warps, *truth.shape), generator=generator)
        warped = (truth + 0.02 * noise).clamp(0, 1)
        inside = (torch.rand(warped[:, :, 0].shape, generator=generator) > 0.2).float()
        return ScoreEvidence(
            inputs=scene.images,
            renders=renders,
            opacity=torch.rand(renders[:, 0].shape, generator=generator),
            warps=warped if warps else None,
            inside=inside if warps else None,
        )

    return made
