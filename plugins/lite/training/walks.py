"""Denoising walks of the trained model, dense, without the engine: what the reports measure."""

import torch
from torch import Tensor

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.protocols import SolverStep
from sphinx_framework.samplers import SigmaSampler
from sphinx_framework.types import CoarseViews, Scene
from sphinx_framework_lite.model import LiteDiffusion

STEPS = 50


class Clip:
    """One scene ready for walks on the 50-step grid: condition, and one noise for all walks."""

    def __init__(
        self, model: LiteDiffusion, scene: Scene, coarse: CoarseViews, seed: int = 0
    ) -> None:
        self.model = model
        self.layout = model.layouts(scene)[0]
        frames = torch.stack(
            [
                (scene.images if slot.kind == "input" else coarse.images)[slot.index]
                for slot in self.layout.slots
            ]
        )
        self.clean = model.encode(frames)
        self.condition = model.condition(
            scene, coarse, self.layout, self.clean, model.sampler(STEPS)
        )
        generator = torch.Generator().manual_seed(seed)
        self.noise = torch.randn(self.clean.shape, generator=generator)
        self.targets = list(self.layout.targets)

    @torch.no_grad()
    def walk(self, schedule: SigmaSampler, steps: list[int], *, from_noise: bool = False) -> Tensor:
        """Images of the targets after the given steps of the grid (its end is appended)."""
        ops = DenseExecutor(len(self.layout))
        origin = torch.zeros_like(self.clean) if from_noise else self.clean
        x = schedule.noised(origin, self.noise, steps[0])
        previous: tuple[int, Tensor] | None = None
        for step, after in zip(steps, [*steps[1:], schedule.num_steps], strict=True):
            denoised = self.model.denoise(x, step, self.condition, ops)
            move = SolverStep(
                step=step, next_step=after, previous=previous, draw=lambda: torch.zeros(())
            )
            x = schedule.advance(x, denoised, move)
            previous = (step, denoised)
        return self.model.decode(x[self.targets])


def spread_steps(first: int, count: int, num_steps: int) -> list[int]:
    """``count`` steps from ``first``, even over the rest of the grid."""
    rest = num_steps - first
    return sorted({first + round(i * rest / count) for i in range(count)})
