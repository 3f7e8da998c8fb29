"""Stage 2: a U-Net over frames, with convolutions, norms, attention and a conv along frames."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from acceptance_plugin.pixels import CHANNELS, PixelModel, ray_maps
from sphinx_framework.nn import Conv2d, FrameConv, GroupNorm, SelfAttention, bind_sites
from sphinx_framework.protocols import Executor
from sphinx_framework.samplers import SigmaSampler
from sphinx_framework.types import ClipLayout, CoarseViews, Scene


@dataclass(frozen=True)
class UNetCondition:
    """Rays of every frame, and the sampler whose levels the steps stand for."""

    rays: Tensor
    sampler: SigmaSampler


class UNet(nn.Module):
    """One level down and up again."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.enter = Conv2d(CHANNELS + 3, width, 3, padding=1)
        self.norm = GroupNorm(4, width)
        self.level = nn.Linear(1, width)
        self.down = Conv2d(width, width, 3, stride=2, padding=1)
        self.within = SelfAttention(width, 2, 8, "frame")
        self.between = SelfAttention(width, 2, 8, "frames")
        self.along = FrameConv(width, width, (3, 1, 1))
        self.leave = Conv2d(2 * width, CHANNELS, 3, padding=1)
        bind_sites(self)

    def forward(self, x: Tensor, rays: Tensor, level: Tensor, ops: Executor) -> Tensor:
        """Clean latents of the held rows."""
        top = self.enter(torch.cat([x, ops.maps(rays)], dim=1), ops)
        top = functional.silu(self.norm(top, ops)) + ops.rows(self.level(level))[:, :, None, None]
        low = self.down(top, ops)
        tokens = low.flatten(2).mT
        tokens = tokens + self.within(tokens, ops)
        tokens = tokens + self.between(tokens, ops)
        low = tokens.mT.unflatten(2, low.shape[2:])
        low = low + self.along(functional.silu(low), ops)
        up = functional.interpolate(low, scale_factor=2.0, mode="nearest")
        out: Tensor = self.leave(torch.cat([top, up], dim=1), ops)
        return out


class UNetRefiner(PixelModel):
    """The U-Net as a diffusion model."""

    def build(self) -> nn.Module:
        """An empty network."""
        return UNet()

    def condition(
        self,
        scene: Scene,
        coarse: CoarseViews,
        layout: ClipLayout,
        clean: Tensor,
        sampler: SigmaSampler,
    ) -> UNetCondition:
        """Rays relative to the first camera."""
        return UNetCondition(ray_maps(scene, layout, clean), sampler)

    def denoise(self, x: Tensor, step: int, condition: UNetCondition, ops: Executor) -> Tensor:
        """Clean latents of the held rows."""
        sigma = float(condition.sampler.sigmas[step])
        level = x.new_full((len(condition.rays), 1), sigma / (1 + sigma))
        return self._mixed(x, lambda inner: self.network(inner, condition.rays, level, ops))
