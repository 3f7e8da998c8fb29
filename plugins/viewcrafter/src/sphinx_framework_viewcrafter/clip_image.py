"""The OpenCLIP image tower as ViewCrafter uses it: all tokens after the last block."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_viewcrafter.clip_layers import ClipTransformer
from sphinx_framework_viewcrafter.config import ImageTowerConfig

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class VisualTower(nn.Module):
    """ViT without its final norm and projection."""

    def __init__(self, config: ImageTowerConfig) -> None:
        super().__init__()
        cells = config.image_size // config.patch_size
        self.conv1 = nn.Conv2d(3, config.width, config.patch_size, config.patch_size, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(config.width))
        self.positional_embedding = nn.Parameter(torch.empty(cells**2 + 1, config.width))
        self.ln_pre = nn.LayerNorm(config.width)
        self.transformer = ClipTransformer(
            config.width, config.width // config.head_width, config.layers, causal=False
        )

    def forward(self, images: Float[Tensor, "V 3 s s"]) -> Float[Tensor, "V n C"]:
        patches = self.conv1(images).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(images), 1, -1)
        x = torch.cat([first, patches], dim=1) + self.positional_embedding
        out: Tensor = self.transformer(self.ln_pre(x))
        return out


class ImageTower(nn.Module):
    """Images to CLIP tokens."""

    def __init__(self, config: ImageTowerConfig) -> None:
        super().__init__()
        self.size = config.image_size
        self.visual = VisualTower(config)

    def forward(self, images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V n C"]:
        """Embed images in [-1, 1] of any size."""
        prepared = preprocess(images.float(), self.size)
        out: Tensor = self.visual(prepared.to(self.visual.class_embedding.dtype))
        return out


def preprocess(images: Float[Tensor, "V 3 H W"], size: int) -> Float[Tensor, "V 3 s s"]:
    """Resize images in [-1, 1] without keeping their aspect and normalise for CLIP.

    A Gaussian blur against aliasing where any axis shrinks, then bicubic interpolation with
    ``align_corners=True`` (spec section 3, "Image tokens").
    """
    factors = (images.shape[2] / size, images.shape[3] / size)
    if max(factors) > 1:
        images = _blur(images, _gaussian(factors[0]), _gaussian(factors[1]))
    resized = functional.interpolate(images, (size, size), mode="bicubic", align_corners=True)
    mean, deviation = (resized.new_tensor(c)[:, None, None] for c in (MEAN, DEVIATION))
    return ((resized + 1) / 2 - mean) / deviation


def _gaussian(factor: float) -> Float[Tensor, " k"]:
    """Normalised anti-aliasing kernel for one axis that shrinks by ``factor``."""
    sigma = max((factor - 1) / 2, 0.001)
    length = int(max(4 * sigma, 3))
    half = (length + 1 - length % 2) // 2
    weights = torch.exp(-0.5 * (torch.arange(-half, half + 1) / sigma).square())
    return weights / weights.sum()


def _blur(
    images: Float[Tensor, "V 3 H W"], rows: Float[Tensor, " k"], columns: Float[Tensor, " k"]
) -> Float[Tensor, "V 3 H W"]:
    high, wide = len(rows) // 2, len(columns) // 2
    flat = images.flatten(0, 1)[:, None]
    padded = functional.pad(flat, (wide, wide, high, high), mode="reflect")
    blurred = functional.conv2d(padded, rows.to(images)[None, None, :, None])
    blurred = functional.conv2d(blurred, columns.to(images)[None, None, None, :])
    return blurred[:, 0].unflatten(0, images.shape[:2])
