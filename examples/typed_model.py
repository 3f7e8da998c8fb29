"""A diffusion model with types of its own, which a type checker holds against the protocol.

`DiffusionModel[Condition, Sampler]` is satisfied structurally: nothing is inherited, and neither
the condition nor the sampler has to be `Any`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sphinx_framework.protocols import DiffusionModel, Executor
from sphinx_framework.samplers import SigmaSampler
from sphinx_framework.types import ClipLayout, CoarseViews, Scene, Slot


@dataclass(frozen=True)
class Levels:
    """What this model keeps of a request: the clean latents and the noise level of each step."""

    clean: Tensor
    sigmas: list[float]


class Model:
    """Predicts what was encoded; every frame for itself."""

    latent_factor = 8
    tile = 2

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        slots = [Slot(kind="target", index=index) for index in range(len(scene.targets))]
        return (ClipLayout(slots=tuple(slots)),)

    def encode(self, images: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(images, self.latent_factor) * 2 - 1

    def decode(self, latents: Tensor) -> Tensor:
        factor = float(self.latent_factor)
        return (
            torch.nn.functional.interpolate(latents, scale_factor=factor).add(1).div(2).clamp(0, 1)
        )

    def sampler(self, num_steps: int) -> SigmaSampler:
        return SigmaSampler(torch.linspace(10.0, 0.0, num_steps + 1))

    def condition(
        self,
        scene: Scene,
        coarse: CoarseViews,
        layout: ClipLayout,
        clean: Tensor,
        sampler: SigmaSampler,
    ) -> Levels:
        return Levels(clean=clean, sigmas=sampler.sigmas)

    def denoise(self, x: Tensor, step: int, condition: Levels, ops: Executor) -> Tensor:
        trust = 1 / (1 + condition.sigmas[step])
        return trust * x + (1 - trust) * ops.maps(condition.clean)


model: DiffusionModel[Levels, SigmaSampler] = Model()
print("latents of", model.encode(torch.rand(2, 3, 64, 64)).shape)
