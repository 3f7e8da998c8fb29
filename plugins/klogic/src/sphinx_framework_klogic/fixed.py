"""One plan for every frame: where no rule is known to do better."""

import torch

from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.types import QualityReport, Scene, StartSteps, Walk
from sphinx_framework_klogic.config import FixedConfig

GRID = 50


class FixedSteps:
    """``fixed``: every target gets the same plan; ratio and quality do not move it."""

    def __init__(self, config: FixedConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        self.start = config.start
        self.walk = Walk(config.steps, config.solver)

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        """The start, brought to a grid of ``num_steps``, for every target."""
        start = int(self.start * num_steps / GRID)
        return StartSteps(
            steps=(start,) * len(scene.targets),
            walks=(self.walk,) * len(scene.targets),
            notes=(
                f"every frame starts at step {start} of {num_steps}: the quality asked for "
                f"({quality:g}) does not move it",
            ),
        )
