"""The U-Net of both refiners: norms after convolutions, attention across views."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


def group_norm(channels: int) -> nn.GroupNorm:
    """Eight groups where they divide the channels, else four."""
    return nn.GroupNorm(8 if channels % 8 == 0 else 4, channels)


def conv3x3(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution with zero padding."""
    return nn.Conv2d(channels_in, channels_out, 3, stride, padding=1)


class ResidualBlock(nn.Module):
    """Convolution, norm, SiLU, twice; the last SiLU comes before the addition."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.in_layers = _conv_norm_act(channels_in, channels_out)
        self.out_layers = _conv_norm_act(channels_out, channels_out)
        self.skip_connection: nn.Module = (
            nn.Identity()
            if channels_in == channels_out
            else nn.Conv2d(channels_in, channels_out, 1)
        )

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D h w"]:
        """Add the branch to the (projected) input."""
        return self.skip_connection(x) + self.out_layers(self.in_layers(x))


class JointAttention(nn.Module):
    """Attention over the tokens of all views of a scene together, norm after the projection."""

    def __init__(self, channels: int, head_channels: int) -> None:
        super().__init__()
        self.heads = channels // head_channels
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)
        self.norm = group_norm(channels)

    def forward(self, x: Float[Tensor, "B C h w"], views: int) -> Float[Tensor, "B C h w"]:
        """Attend; ``B`` is scenes times ``views``, the views of a scene in a row."""
        qkv = self.qkv(x.flatten(2)).unflatten(1, (self.heads, 3, -1))
        # [B, heads, 3, d, h w] -> [3, scenes, heads, views h w, d]
        joint = qkv.unflatten(0, (-1, views)).permute(3, 0, 2, 1, 5, 4).flatten(3, 4)
        attended = functional.scaled_dot_product_attention(joint[0], joint[1], joint[2])
        back = attended.unflatten(2, (views, -1)).permute(0, 2, 1, 4, 3).flatten(0, 1).flatten(1, 2)
        return x + self.norm(self.proj_out(back)).view_as(x)


class Downsample(nn.Module):
    """Half the resolution by a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = conv3x3(channels, channels, stride=2)

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C i j"]:
        """Halve both sides."""
        return self.op(x)


class Upsample(nn.Module):
    """Twice the resolution: nearest neighbour, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv3x3(channels, channels)

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C i j"]:
        """Double both sides."""
        return self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))


class Stage(nn.ModuleList):
    """Layers run one after the other; attention is told the number of views."""

    def forward(self, x: Float[Tensor, "B C h w"], views: int) -> Float[Tensor, "B D i j"]:
        """Run the layers."""
        for layer in self:
            x = layer(x, views) if isinstance(layer, JointAttention | UNet) else layer(x)
        return x


class UNet(nn.Module):
    """Width ``m`` in and out; one residual block per level, no time embedding.

    rates: down-sampling rates at which attention runs.
    """

    def __init__(
        self, width: int, multipliers: tuple[int, ...], rates: tuple[int, ...], head_channels: int
    ) -> None:
        super().__init__()
        levels = len(multipliers)

        def stage(channels_in: int, channels_out: int, level: int) -> Stage:
            layers: list[nn.Module] = [ResidualBlock(channels_in, channels_out)]
            if 2**level in rates:
                layers.append(JointAttention(channels_out, head_channels))
            return Stage(layers)

        self.input_blocks = nn.ModuleList([Stage([conv3x3(width, width)])])
        skips = [width]
        channels = width
        for level, multiplier in enumerate(multipliers):
            self.input_blocks.append(stage(channels, width * multiplier, level))
            channels = width * multiplier
            skips.append(channels)
            if level < levels - 1:
                self.input_blocks.append(Stage([Downsample(channels)]))
                skips.append(channels)
        self.middle_block = Stage(
            [ResidualBlock(channels, channels), nn.Identity(), ResidualBlock(channels, channels)]
        )
        self.output_blocks = nn.ModuleList()
        for level in reversed(range(levels)):
            for second in (False, True):
                block = stage(channels + skips.pop(), width * multipliers[level], level)
                channels = width * multipliers[level]
                if second and level > 0:
                    block.append(Upsample(channels))
                self.output_blocks.append(block)
        self.out = _conv_norm_act(channels, width)

    def forward(self, x: Float[Tensor, "B C h w"], views: int) -> Float[Tensor, "B C h w"]:
        """Refine; ``B`` is scenes times ``views``, the views of a scene in a row."""
        skips: list[Tensor] = []
        for block in self.input_blocks:
            x = block(x, views)
            skips.append(x)
        x = self.middle_block(x, views)
        for block in self.output_blocks:
            x = block(torch.cat([x, skips.pop()], dim=1), views)
        return self.out(x)


def _conv_norm_act(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(conv3x3(channels_in, channels_out), group_norm(channels_out), nn.SiLU())
