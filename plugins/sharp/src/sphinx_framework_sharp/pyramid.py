"""The encoder: a sliding pyramid of tiles through one transformer."""

from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_sharp.config import NetworkConfig
from sphinx_framework_sharp.vit import VisionTransformer

# Tiles along a side of levels 0 and 1, their stride in tile sides, tokens cut at inner borders.
OVERLAPPING = ((5, 0.75, 3), (3, 0.5, 6))
SEPARATE = ((4, 1.0, 0), (2, 1.0, 0))


class SlidingPyramid(nn.Module):
    """Five feature maps of a square image, with sides of 32, 16, 8, 4 and 2 token grids.

    precision: of the transformers; everything else is float32.
    """

    def __init__(self, config: NetworkConfig, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        widths, tokens = config.encoder_dims, config.vit.embed_dim
        self.tile = config.vit.img_size
        self.layout = OVERLAPPING if config.use_patch_overlap else SEPARATE
        self.hooks = config.hook_ids[:2]
        self.precision = precision
        self.patch_encoder = VisionTransformer(config.vit)
        self.image_encoder = VisionTransformer(config.vit)
        self.upsample_latent0 = _upsampler(tokens, widths[1], widths[0], widths[0], widths[0])
        self.upsample_latent1 = _upsampler(tokens, widths[1], widths[1], widths[1])
        self.upsample0 = _upsampler(tokens, widths[2], widths[2])
        self.upsample1 = _upsampler(tokens, widths[3], widths[3])
        self.upsample2 = _upsampler(tokens, widths[4], widths[4])
        self.upsample_lowres = nn.ConvTranspose2d(tokens, widths[4], 2, stride=2)
        self.fuse_lowres = nn.Conv2d(2 * widths[4], widths[4], 1)

    def forward(self, images: Float[Tensor, "b 3 S S"]) -> list[Float[Tensor, "b _c _h _h"]]:
        """Encode images in [-1, 1]; finest feature first."""
        batch = len(images)
        levels = self.tiles(images)
        with self._reduced_precision(images.device):
            last, seen = self.patch_encoder(torch.cat(levels), self.hooks)
            whole, _ = self.image_encoder(levels[2])
        fine, middle = len(levels[0]), len(levels[1])
        finest = [self._merged(seen[hook][:fine], 0, batch) for hook in self.hooks]
        lowest = torch.cat(
            [self.upsample2(last[fine + middle :]), self.upsample_lowres(whole)], dim=1
        )
        return [
            self.upsample_latent0(finest[0]),
            self.upsample_latent1(finest[1]),
            self.upsample0(self._merged(last[:fine], 0, batch)),
            self.upsample1(self._merged(last[fine : fine + middle], 1, batch)),
            self.fuse_lowres(lowest),
        ]

    def tiles(self, images: Float[Tensor, "b 3 S S"]) -> list[Float[Tensor, "_n 3 P P"]]:
        """Tiles of all levels, finest first; the index within one is ``tile * b + image``."""
        cut = []
        for (count, stride, _), factor in zip(self.layout, (1.0, 0.5), strict=True):
            level = images if factor == 1 else _smaller(images, factor)
            step = int(self.tile * stride)
            corners = [step * i for i in range(count)]
            cut.append(
                torch.cat(
                    [
                        level[:, :, top : top + self.tile, left : left + self.tile]
                        for top in corners
                        for left in corners
                    ]
                )
            )
        return [*cut, _smaller(images, 0.25)]

    def _merged(
        self, tiles: Float[Tensor, "_n c G G"], level: int, batch: int
    ) -> Float[Tensor, "b c _h _h"]:
        """Join tiles; rows and columns at sides that touch another tile are cut."""
        count, _, cut = self.layout[level]
        size = tiles.shape[-1]
        grid = tiles.unflatten(0, (count, count, batch))

        def kept(index: int) -> slice:
            return slice(cut if index else 0, size - (cut if index < count - 1 else 0))

        rows = [
            torch.cat([grid[i, j][:, :, kept(i), kept(j)] for j in range(count)], dim=3)
            for i in range(count)
        ]
        return torch.cat(rows, dim=2)

    def _reduced_precision(self, device: torch.device) -> AbstractContextManager[object]:
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(device.type, dtype=self.precision)


def _smaller(images: Float[Tensor, "b 3 S S"], factor: float) -> Float[Tensor, "b 3 s s"]:
    return functional.interpolate(images, scale_factor=factor, mode="bilinear", align_corners=False)


def _upsampler(source: int, first: int, *doubled: int) -> nn.Sequential:
    """A 1x1 convolution, then one doubling of the size per further width."""
    layers: list[nn.Module] = [nn.Conv2d(source, first, 1, bias=False)]
    for before, after in zip((first, *doubled[:-1]), doubled, strict=True):
        layers.append(nn.ConvTranspose2d(before, after, 2, stride=2, bias=False))
    return nn.Sequential(*layers)
