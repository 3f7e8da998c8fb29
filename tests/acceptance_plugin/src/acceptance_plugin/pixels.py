"""What the three diffusion models share: latents are rearranged pixels, clips hold the scene."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from acceptance_plugin.options import SeedOptions
from sphinx_framework.errors import SceneError
from sphinx_framework.plugin import Parts
from sphinx_framework.samplers import SigmaSampler, karras_sigmas
from sphinx_framework.types import ClipLayout, Scene, Slot

FACTOR = 4
CHANNELS = 3 * FACTOR * FACTOR


class PixelModel:
    """Codec, sampler and clips; ``longest``: frames of a clip."""

    latent_factor, tile = FACTOR, 4
    longest: int | None = None

    def __init__(self, options: SeedOptions, device: torch.device, parts: Parts) -> None:
        self.options = options
        self.network = self.build()
        generator = torch.Generator().manual_seed(options.seed)
        for parameter in self.network.parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            parameter.data = 0.15 * drawn
        self.network.to(device).eval().requires_grad_(False)

    def build(self) -> nn.Module:
        """The network; its parameters are filled afterwards."""
        raise NotImplementedError

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        """All inputs in every clip, targets in turn."""
        inputs = [Slot(kind="input", index=i) for i in range(len(scene.inputs))]
        count = len(scene.targets)
        room = count if self.longest is None else self.longest - len(inputs)
        if room < 1:
            raise SceneError(f"{len(inputs)} inputs leave no room in a clip of {self.longest}.")
        return tuple(
            ClipLayout(
                slots=(
                    *inputs,
                    *(Slot(kind="target", index=i) for i in range(at, min(at + room, count))),
                )
            )
            for at in range(0, count, room)
        )

    def encode(self, images: Tensor) -> Tensor:
        """Nothing is lost."""
        return functional.pixel_unshuffle(images, FACTOR) * 2 - 1

    def decode(self, latents: Tensor) -> Tensor:
        """The inverse, clamped."""
        return functional.pixel_shuffle((latents + 1) / 2, FACTOR).clamp(0, 1)

    def sampler(self, num_steps: int) -> SigmaSampler:
        """Karras levels."""
        return SigmaSampler(karras_sigmas(num_steps, 0.02, 8.0), self.options.solver)

    def _mixed(self, x: Tensor, network: Any) -> Tensor:
        """Half the state and a bounded part of the network's."""
        out: Tensor = 0.5 * x + 0.3 * torch.tanh(network(x / (1 + x.abs())))
        return out


def ray_maps(scene: Scene, layout: ClipLayout, clean: Tensor) -> Tensor:
    """Directions of the cells' rays in the frame of the clip's first camera, ``[T, 3, h, w]``."""
    cameras = scene.cameras_of(layout)
    height, width = clean.shape[-2:]
    y = (torch.arange(height, device=clean.device) + 0.5) * FACTOR
    x = (torch.arange(width, device=clean.device) + 0.5) * FACTOR
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    pixels = torch.stack([columns, rows, torch.ones_like(rows)]).flatten(1)
    first = cameras.camera_from_world[0] @ cameras.world_from_camera
    rays = first[:, :3, :3] @ torch.linalg.inv(cameras.intrinsics) @ pixels
    return functional.normalize(rays, dim=1).unflatten(2, (height, width)).to(clean)
