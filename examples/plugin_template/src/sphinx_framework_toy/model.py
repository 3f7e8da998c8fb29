import torch

from sphinx_framework.nn import Conv2d, bind_sites
from sphinx_framework.samplers import SigmaSampler, karras_sigmas
from sphinx_framework.types import ClipLayout, Slot


class ToyNetwork(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = Conv2d(3, 3, 3, padding=1)
        bind_sites(self)

    def forward(self, x, brightness, ops):
        h = self.conv(x, ops) + ops.rows(brightness)[:, :, None, None]
        return h + 0.1 * ops.across_frames("mix", h).mean(1)


class Toy:
    latent_factor, tile = 1, 8

    def __init__(self, options, device, parts):
        self.network = ToyNetwork().to(device).requires_grad_(False)

    def layouts(self, scene):
        inputs = [Slot(kind="input", index=i) for i in range(len(scene.inputs))]
        targets = [Slot(kind="target", index=i) for i in range(len(scene.targets))]
        return (ClipLayout(slots=(*inputs, *targets)),)

    def encode(self, images):
        return images

    def decode(self, latents):
        return latents.clamp(0, 1)

    def condition(self, scene, coarse, layout, clean, sampler):
        return clean.mean((2, 3))

    def sampler(self, num_steps):
        return SigmaSampler(karras_sigmas(num_steps, 0.02, 10.0))

    def denoise(self, x, step, condition, ops):
        return self.network(x, condition, ops)
