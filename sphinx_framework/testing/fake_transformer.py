"""A tiny diffusion transformer on patches: text, registers, biases and causal time, as a fake.

It is also the shortest example of such a network written for frame subsets and tiles.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.nn import SelfAttention, bind_sites
from sphinx_framework.protocols import Executor, Sampler, Sight, Tokens
from sphinx_framework.testing.fakes import FakeDiffusion
from sphinx_framework.types import ClipLayout, CoarseViews, Scene

PATCH = 2  # cells along a patch's side; a tile must hold whole patches
HEADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerCondition:
    """Maps of every frame (place in the frame, place in the clip) and the text of each branch."""

    maps: Float[Tensor, "gT 3 h w"]
    text: Float[Tensor, "g m C"]


class FakeTransformerBlock(nn.Module):
    """Text and frames jointly, each frame within itself, each cell along time, then pointwise."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.site = ""
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = nn.Linear(width, 2 * width)
        self.to_own, self.to_text = nn.Linear(width, 3 * width), nn.Linear(width, 3 * width)
        self.registers = nn.Parameter(torch.zeros(2, width))
        self.within = SelfAttention(width, HEADS, width // HEADS, "frame")
        self.along = SelfAttention(width, HEADS, width // HEADS, "frames")
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(
        self,
        x: Float[Tensor, "R n C"],
        text: Float[Tensor, "g m C"],
        time: Float[Tensor, "R 1 C"],
        grid: tuple[int, int],
        ops: Executor,
    ) -> tuple[Tensor, Tensor]:
        """Tokens of the held rows and of the text; ``grid``: patches of a whole frame."""
        scale, shift = self.modulate(time).chunk(2, dim=-1)
        normal = self.norm(x) * (1 + scale) + shift
        own, outside = (
            Tokens(query=q, key=k, value=v)
            for q, k, v in (
                self.to_own(normal).chunk(3, -1),
                self.to_text(self.norm(text)).chunk(3, -1),
            )
        )
        mixed, answer = ops.joint_attention(self.site, own, outside, HEADS)
        x, text = x + mixed, text + answer
        registers = self.registers.expand(len(text), -1, -1)
        near = ops.constant(f"{self.site}.near", lambda: nearness(grid, x.device))
        sight = Sight(bias=near, key=self.within.to_k(registers), value=self.within.to_v(registers))
        x = x + self.within(self.norm(x), ops, sight)
        x = x + self.along(self.norm(x), ops, Sight(causal=True))
        return x + self.feed(self.norm(x)), text


def nearness(grid: tuple[int, int], device: torch.device) -> Float[Tensor, "1 1 n n"]:
    """Bias of attention within a frame: minus the distance between two patches."""
    y, x = torch.meshgrid(*(torch.arange(n, device=device) for n in grid), indexing="ij")
    places = torch.stack([y, x], dim=-1).flatten(0, 1).float()
    return -(places[:, None] - places[None]).square().sum(-1).sqrt()[None, None]


class FakeTransformer(nn.Module):
    """Patches in, two blocks, patches out; no literal frame count, height or width."""

    def __init__(self, channels: int = 8, width: int = 16) -> None:
        super().__init__()
        # A convolution whose stride is its kernel looks at no other patch: plain torch.
        self.enter = nn.Conv2d(channels + 3, width, PATCH, stride=PATCH)
        self.text = nn.Parameter(torch.zeros(3, width))
        self.time = nn.Linear(1, width)
        self.blocks = nn.ModuleList([FakeTransformerBlock(width) for _ in range(2)])
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, channels * PATCH * PATCH)
        bind_sites(self)

    def forward(
        self,
        x: Float[Tensor, "R C a b"],
        time: Float[Tensor, "gT 1"],
        condition: TransformerCondition,
        ops: Executor,
    ) -> Float[Tensor, "R C a b"]:
        """Predict clean latents."""
        patches = self.enter(torch.cat([x, ops.maps(condition.maps)], dim=1))
        height, width = (side // PATCH for side in condition.maps.shape[-2:])
        tokens, text = patches.flatten(2).transpose(1, 2), condition.text
        emb = ops.rows(self.time(time))[:, None]
        for block in self.blocks:
            tokens, text = block(tokens, text, emb, (height, width), ops)
        out = self.leave(self.norm(tokens)).transpose(1, 2).unflatten(2, patches.shape[2:])
        return F.pixel_shuffle(out, PATCH)


class FakeTransformerDiffusion(FakeDiffusion):
    """The transformer in place of the convolutional fake, guided by a text in two branches."""

    tile = 2 * PATCH

    def build(self) -> nn.Module:
        """The network, with parameters still to be filled."""
        return FakeTransformer()

    def condition(  # type: ignore[override]
        self,
        scene: Scene,
        coarse: CoarseViews,
        layout: ClipLayout,
        clean: Tensor,
        sampler: Sampler,
    ) -> TransformerCondition:
        """Places of cells and frames, and the text; the second branch has an empty one."""
        frames, _, height, width = clean.shape
        y, x, t = (torch.linspace(-1, 1, n, device=clean.device) for n in (height, width, frames))
        maps = torch.stack(torch.broadcast_tensors(
            y[None, :, None], x[None, None], t[:, None, None]
        ), dim=1)  # fmt: skip
        text = self.network.get_parameter("text")
        return TransformerCondition(
            maps=maps.repeat(2, 1, 1, 1), text=torch.stack([text, torch.zeros_like(text)])
        )

    def denoise(  # type: ignore[override]
        self, x: Tensor, step: int, condition: TransformerCondition, ops: Executor
    ) -> Float[Tensor, "R C a b"]:
        """Half the state plus what guidance makes of both branches."""
        self.calls.append((step, x.shape[0]))
        time = torch.full((len(condition.maps), 1), step / 50, device=x.device)
        inner = (x / (1 + x.abs())).repeat(2, 1, 1, 1)
        told, untold = self.network(inner, time, condition, ops).chunk(2)
        return 0.5 * x + 0.3 * torch.tanh(untold + 1.5 * (told - untold))
