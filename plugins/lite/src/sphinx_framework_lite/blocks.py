"""Plain convolutional blocks of the networks that always see whole images."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """GroupNorm, SiLU, 3x3 convolution, twice, around a skip connection."""

    def __init__(self, channels: int, groups: int = 8) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        h = self.conv1(functional.silu(self.norm1(x)))
        out: Tensor = x + self.conv2(functional.silu(self.norm2(h)))
        return out


class Hourglass(nn.Module):
    """A small U-Net: ``widths[0]`` channels at full size, one halving per further width."""

    def __init__(self, widths: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.down = nn.ModuleList()
        self.shrink = nn.ModuleList()
        self.grow = nn.ModuleList()
        self.up = nn.ModuleList()
        for level, width in enumerate(widths):
            self.down.append(nn.Sequential(*[ResidualBlock(width) for _ in range(blocks)]))
            if level + 1 < len(widths):
                self.shrink.append(nn.Conv2d(width, widths[level + 1], 3, stride=2, padding=1))
                self.grow.append(nn.Conv2d(widths[level + 1], width, 1))
                self.up.append(nn.Sequential(*[ResidualBlock(width) for _ in range(blocks)]))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        skips = []
        for block, shrink in zip(self.down, self.shrink, strict=False):
            x = block(x)
            skips.append(x)
            x = shrink(x)
        x = self.down[-1](x)
        for skip, grow, block in zip(
            reversed(skips), reversed(self.grow), reversed(self.up), strict=True
        ):
            x = functional.interpolate(grow(x), size=skip.shape[-2:], mode="nearest") + skip
            x = block(x)
        return x


def convex_upsample(
    values: Float[Tensor, "B C h w"], weights: Float[Tensor, "B 36 h w"]
) -> Float[Tensor, "B C H W"]:
    """Double the size: every fine cell is a convex mix of the 3x3 coarse cells around it.

    weights: logits, 9 for each of the 2x2 fine cells. Keeps depth edges sharp where a bilinear
    filter would invent depths between two surfaces (Teed and Deng, RAFT, section 3.3).
    """
    batch, channels, height, width = values.shape
    mix = torch.softmax(weights.reshape(batch, 1, 9, 4, height, width).float(), dim=2)
    around = functional.unfold(functional.pad(values.float(), (1, 1, 1, 1), mode="replicate"), 3)
    around = around.reshape(batch, channels, 9, 1, height, width)
    fine = (mix * around).sum(dim=2).reshape(batch, channels * 4, height, width)
    return functional.pixel_shuffle(fine, 2)
