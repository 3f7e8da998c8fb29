"""The finisher: a small network that makes the served frame of a refined frame and its render.

Refinement and render are two estimates of a frame with different errors: the first is right where
little was seen and smooth where the network does not know, the second has the photos' own texture
where it is right. Pixel by pixel, the finisher says what share of the render is kept, and adds
what both lack.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_lite.blocks import ResidualBlock

FOLD = 2
ADDED = 0.25


class Finisher(nn.Module):
    """Convolutional at half the side; any even size works. Untrained it keeps half of both."""

    def __init__(self, channels: int = 48, blocks: int = 3) -> None:
        super().__init__()
        self.enter = nn.Conv2d(10 * FOLD**2, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.leave = nn.Conv2d(channels, 4 * FOLD**2, 3, padding=1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self,
        refined: Float[Tensor, "V 3 H W"],
        render: Float[Tensor, "V 3 H W"],
        opacity: Float[Tensor, "V H W"],
    ) -> Float[Tensor, "V 3 H W"]:
        """Frames in [0, 1] and the render's opacity to finished frames, not clamped."""
        apart = 4 * (render - refined)
        stacked = torch.cat([refined - 0.5, render - 0.5, apart, opacity[:, None]], dim=1)
        hidden = self.blocks(self.enter(functional.pixel_unshuffle(stacked, FOLD)))
        out = functional.pixel_shuffle(self.leave(functional.silu(hidden)), FOLD)
        share = torch.sigmoid(out[:, :1])
        return refined + share * (render - refined) + ADDED * out[:, 1:]
