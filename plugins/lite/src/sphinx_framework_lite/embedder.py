"""Scene embedding from colours and gradients: deterministic, no weights."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework_lite.config import EmbedderConfig

WORKING_SIDE = 96


class LiteEmbedder:
    """Soft histograms of colour and gradient strength and a coarse layout, over all inputs."""

    def __init__(
        self, config: EmbedderConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        self._bins = config.bins

    def _histogram(self, values: Float[Tensor, " P"]) -> Float[Tensor, " B"]:
        """Soft histogram of values in [0, 1]: its cells overlap, so small changes stay small."""
        place = values.clamp(0, 1)[:, None] * (self._bins - 1)
        cells = torch.arange(self._bins, device=values.device)
        return (1 - (place - cells).abs()).clamp(min=0).mean(dim=0)

    def embed(self, images: Float[Tensor, "N 3 H W"]) -> Float[Tensor, " D"]:
        """One unit vector for all inputs together; its entries are not negative."""
        scale = WORKING_SIDE / min(images.shape[-2:])
        if scale < 1:
            images = functional.interpolate(
                images, scale_factor=scale, mode="bilinear", antialias=True
            )
        grey = images.mean(dim=1)
        spread = images.amax(dim=1) - images.amin(dim=1)
        parts = [self._histogram(images[:, c].reshape(-1)) for c in range(3)]
        parts += [self._histogram(grey.reshape(-1)), self._histogram(spread.reshape(-1))]
        for _ in range(2):
            for step in (grey[..., 1:] - grey[..., :-1], grey[..., 1:, :] - grey[..., :-1, :]):
                parts.append(self._histogram(step.abs().sqrt().reshape(-1)))
            grey = functional.avg_pool2d(grey[:, None], 2)[:, 0]
        layout = functional.adaptive_avg_pool2d(images, (2, 1)).mean(dim=0).flatten()
        parts.append(layout / 6)
        return functional.normalize(torch.cat(parts).sqrt(), dim=0)
