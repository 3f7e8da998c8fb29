"""Stage 2: a transformer on patches, with a text in joint attention, guided in two branches."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from acceptance_plugin.pixels import CHANNELS, PixelModel, ray_maps
from sphinx_framework.nn import SelfAttention, bind_sites
from sphinx_framework.protocols import Executor, Sight, Tokens
from sphinx_framework.samplers import SigmaSampler
from sphinx_framework.types import ClipLayout, CoarseViews, Scene

PATCH, WIDTH, HEADS = 2, 16, 2


@dataclass(frozen=True)
class PatchCondition:
    """Rays and text of both branches."""

    rays: Tensor
    text: Tensor


class Block(nn.Module):
    """Text and patches jointly, each frame with registers, each patch over the frames."""

    def __init__(self) -> None:
        super().__init__()
        self.site = ""
        self.own, self.outside = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.registers = nn.Parameter(torch.zeros(2, WIDTH))
        self.within = SelfAttention(WIDTH, HEADS, WIDTH // HEADS, "frame")
        self.over = SelfAttention(WIDTH, HEADS, WIDTH // HEADS, "frames")

    def forward(self, x: Tensor, text: Tensor, ops: Executor) -> tuple[Tensor, Tensor]:
        """Tokens of the held rows, and of the text."""
        (q, k, v), (r, m, n) = self.own(x).chunk(3, -1), self.outside(text).chunk(3, -1)
        mixed, answer = ops.joint_attention(
            self.site, Tokens(query=q, key=k, value=v), Tokens(query=r, key=m, value=n), HEADS
        )
        x, text = x + mixed, text + answer
        registers = self.registers.expand(len(text), -1, -1)
        sight = Sight(key=self.within.to_k(registers), value=self.within.to_v(registers))
        x = x + self.within(functional.layer_norm(x, (WIDTH,)), ops, sight)
        return x + self.over(functional.layer_norm(x, (WIDTH,)), ops), text


class PatchTransformer(nn.Module):
    """Two blocks between two linear maps of patches."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(CHANNELS + 3, WIDTH, PATCH, stride=PATCH)
        self.text = nn.Parameter(torch.zeros(3, WIDTH))
        self.blocks = nn.ModuleList([Block(), Block()])
        self.leave = nn.Linear(WIDTH, CHANNELS * PATCH * PATCH)
        bind_sites(self)

    def forward(self, x: Tensor, condition: PatchCondition, ops: Executor) -> Tensor:
        """Clean latents of the held rows."""
        patches = self.enter(torch.cat([x, ops.maps(condition.rays)], dim=1))
        tokens, text = patches.flatten(2).mT, condition.text
        for block in self.blocks:
            tokens, text = block(tokens, text, ops)
        return functional.pixel_shuffle(
            self.leave(tokens).mT.unflatten(2, patches.shape[2:]), PATCH
        )


class PatchRefiner(PixelModel):
    """The transformer as a diffusion model with guidance inside."""

    def build(self) -> nn.Module:
        """An empty network."""
        return PatchTransformer()

    def condition(
        self,
        scene: Scene,
        coarse: CoarseViews,
        layout: ClipLayout,
        clean: Tensor,
        sampler: SigmaSampler,
    ) -> PatchCondition:
        """The second branch has no text."""
        rays, text = ray_maps(scene, layout, clean), self.network.get_parameter("text")
        return PatchCondition(
            rays=rays.repeat(2, 1, 1, 1), text=torch.stack([text, torch.zeros_like(text)])
        )

    def denoise(self, x: Tensor, step: int, condition: PatchCondition, ops: Executor) -> Tensor:
        """What guidance makes of both branches."""

        def guided(inner: Tensor) -> Tensor:
            both = self.network(inner.repeat(2, 1, 1, 1), condition, ops)
            told, untold = both.chunk(2)
            out: Tensor = untold + 1.5 * (told - untold)
            return out

        return self._mixed(x, guided)
