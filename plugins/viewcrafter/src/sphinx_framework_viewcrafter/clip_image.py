"""The OpenCLIP image tower as ViewCrafter uses it: all tokens after the last block."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_viewcrafter.clip_text import open_clip
from sphinx_framework_viewcrafter.config import ImageTowerConfig

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class ImageTower(nn.Module):
    """Images to CLIP tokens: open_clip's vision transformer before its last norm and projection."""

    def __init__(self, config: ImageTowerConfig) -> None:
        super().__init__()
        self.size = config.image_size
        self.visual = open_clip("open_clip.transformer").VisionTransformer(
            image_size=config.image_size,
            patch_size=config.patch_size,
            width=config.width,
            layers=config.layers,
            heads=config.width // config.head_width,
            mlp_ratio=4.0,
            pool_type="none",
        )
        self.visual.prune_intermediate_layers(1, prune_norm=True)

    def forward(self, images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V n C"]:
        """Embed images in [-1, 1] of any size: the class token first, then the patches."""
        prepared = preprocess(images.float(), self.size)
        out: Tensor = self.visual(prepared.to(self.visual.conv1.weight.dtype))
        return out


def preprocess(images: Float[Tensor, "V 3 H W"], size: int) -> Float[Tensor, "V 3 s s"]:
    """Resize images in [-1, 1] without keeping their aspect and normalise for CLIP.

    A Gaussian blur against aliasing where any axis shrinks, then bicubic interpolation with
    ``align_corners=True``.
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
