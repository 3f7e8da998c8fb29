"""Stage 2: a transformer that is causal over frames, in clips of at most six."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from acceptance_plugin.pixels import CHANNELS, PixelModel, ray_maps
from sphinx_framework.nn import SelfAttention, bind_sites
from sphinx_framework.protocols import Executor, Sight
from sphinx_framework.samplers import SigmaSampler
from sphinx_framework.types import ClipLayout, CoarseViews, Scene

WIDTH, HEADS = 16, 2


class CausalTransformer(nn.Module):
    """Cells are tokens; a frame sees itself and earlier ones."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(CHANNELS + 3, WIDTH)
        self.cells = SelfAttention(WIDTH, HEADS, WIDTH // HEADS, "frames")
        self.clip = SelfAttention(WIDTH, HEADS, WIDTH // HEADS, "clip")
        self.feed = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )
        self.leave = nn.Linear(WIDTH, CHANNELS)
        bind_sites(self)

    def forward(self, x: Tensor, rays: Tensor, ops: Executor) -> Tensor:
        """Clean latents of the held rows."""
        grid = x.shape[2:]
        tokens = self.enter(torch.cat([x, ops.maps(rays)], dim=1).flatten(2).mT)
        causal = Sight(causal=True)
        tokens = tokens + self.cells(functional.layer_norm(tokens, (WIDTH,)), ops, causal)
        tokens = tokens + self.clip(functional.layer_norm(tokens, (WIDTH,)), ops, causal)
        tokens = tokens + self.feed(functional.layer_norm(tokens, (WIDTH,)))
        out: Tensor = self.leave(tokens).mT.unflatten(2, grid)
        return out


class CausalRefiner(PixelModel):
    """The causal transformer as a diffusion model."""

    longest = 6

    def build(self) -> nn.Module:
        """An empty network."""
        return CausalTransformer()

    def condition(
        self,
        scene: Scene,
        coarse: CoarseViews,
        layout: ClipLayout,
        clean: Tensor,
        sampler: SigmaSampler,
    ) -> Tensor:
        """Rays of every frame."""
        return ray_maps(scene, layout, clean)

    def denoise(self, x: Tensor, step: int, condition: Tensor, ops: Executor) -> Tensor:
        """Clean latents of the held rows."""
        return self._mixed(x, lambda inner: self.network(inner, condition, ops))
