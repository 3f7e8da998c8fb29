"""Convolutional decoders over the encoder's features, and the depth head."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

HEAD_WIDTH = 32


class Residual(nn.Module):
    """``x`` plus two convolutions of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Apply."""
        return x + self.residual(x)


class Fusion(nn.Module):
    """Take in a finer feature, refine, double the size where asked, change the width."""

    def __init__(self, width: int, out: int, *, double: bool) -> None:
        super().__init__()
        self.resnet1: nn.Module = Residual(width)
        self.resnet2 = Residual(width)
        self.deconv = (
            nn.ConvTranspose2d(width, width, 2, stride=2, bias=False) if double else nn.Identity()
        )
        self.out_conv = nn.Conv2d(width, out, 1)

    def forward(
        self, x: Float[Tensor, "b c h w"], skip: Float[Tensor, "b c h w"] | None = None
    ) -> Float[Tensor, "b d _h _w"]:
        """Fuse."""
        if skip is not None:
            x = x + self.resnet1(skip)
        return self.out_conv(self.deconv(self.resnet2(x)))


class MultiresDecoder(nn.Module):
    """Five features, finest first, to one map of the finest one's size."""

    def __init__(self, sources: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        first = (
            nn.Identity()
            if sources[0] == widths[0]
            else nn.Conv2d(sources[0], widths[0], 1, bias=False)
        )
        rest = (
            nn.Conv2d(source, width, 3, padding=1, bias=False)
            for source, width in zip(sources[1:], widths[1:], strict=True)
        )
        self.convs = nn.ModuleList([first, *rest])
        self.fusions = nn.ModuleList(
            Fusion(width, widths[max(i - 1, 0)], double=i > 0) for i, width in enumerate(widths)
        )

    def forward(self, features: Sequence[Tensor]) -> Float[Tensor, "b d h w"]:
        """Decode from the coarsest feature to the finest."""
        x = self.fusions[-1](self.convs[-1](features[-1]))
        for i in reversed(range(len(features) - 1)):
            x = self.fusions[i](x, self.convs[i](features[i]))
        return x


def depth_head(width: int) -> nn.Sequential:
    """Features to two disparities at twice their size: what is seen, and what is hidden by it."""
    return nn.Sequential(
        nn.Conv2d(width, width // 2, 3, padding=1),
        nn.ConvTranspose2d(width // 2, width // 2, 2, stride=2),
        nn.Conv2d(width // 2, HEAD_WIDTH, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(HEAD_WIDTH, 2, 1),
        nn.ReLU(),
    )


class NormedResidual(nn.Module):
    """Residual block with group normalisation and half the width inside."""

    def __init__(self, source: int, width: int, groups: int) -> None:
        super().__init__()
        inner = width // 2
        self.residual = nn.Sequential(
            nn.GroupNorm(groups, source),
            nn.ReLU(),
            nn.Conv2d(source, inner, 3, padding=1),
            nn.GroupNorm(groups, inner),
            nn.ReLU(),
            nn.Conv2d(inner, width, 3, padding=1),
        )
        self.shortcut = nn.Identity() if source == width else nn.Conv2d(source, width, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """Apply."""
        return torch.add(self.shortcut(x), self.residual(x))
