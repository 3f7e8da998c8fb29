import torch
from torch import Tensor

from sphinx_framework.nn import Conv2d, bind_sites
from sphinx_framework.plugin import Parts
from sphinx_framework.protocols import Executor
from sphinx_framework.samplers import SigmaSampler, karras_sigmas
from sphinx_framework.types import ClipLayout, CoarseViews, Scene, Slot


class ToyNetwork(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = Conv2d(3, 3, 3, padding=1)
        bind_sites(self)

    def forward(self, x: Tensor, brightness: Tensor, ops: Executor) -> Tensor:
        h: Tensor = self.conv(x, ops) + ops.rows(brightness)[:, :, None, None]
        return h + 0.1 * ops.across_frames("mix", h).mean(1)


class Toy:
    latent_factor, tile = 1, 8

    def __init__(self, options: None, device: torch.device, parts: Parts) -> None:
        self.network = ToyNetwork().to(device).requires_grad_(False)

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        inputs = [Slot(kind="input", index=i) for i in range(len(scene.inputs))]
        targets = [Slot(kind="target", index=i) for i in range(len(scene.targets))]
        return (ClipLayout(slots=(*inputs, *targets)),)

    def encode(self, images: Tensor) -> Tensor:
        return images

    def decode(self, latents: Tensor) -> Tensor:
        return latents.clamp(0, 1)

    def condition(
        self, scene: Scene, coarse: CoarseViews, layout: ClipLayout, clean: Tensor, sampler: object
    ) -> Tensor:
        return clean.mean((2, 3))

    def sampler(self, num_steps: int) -> SigmaSampler:
        return SigmaSampler(karras_sigmas(num_steps, 0.02, 10.0))

    def denoise(self, x: Tensor, step: int, condition: Tensor, ops: Executor) -> Tensor:
        predicted: Tensor = self.network(x, condition, ops)
        return predicted
