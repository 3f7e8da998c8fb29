"""The mask components: evidence per view, combined, smoothed.

Where the regression model knows no opacity (``coarse.opacity is None``) opacity contributes
nothing. Where nothing contributes (no opacity map, and no blur by option or cluster) there is no
reason to trust any pixel, and all of them are refined.
"""

import torch
from pydantic import BaseModel
from torch import Tensor

from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.types import CoarseViews, RefineMask, Scene
from sphinx_framework_masks import blur
from sphinx_framework_masks.combine import any_evidence, united_over_views, without_small_areas
from sphinx_framework_masks.config import OpacityBlurConfig, OpacityConfig
from sphinx_framework_masks.opacity import low_opacity
from sphinx_framework_masks.sharpness import blurrier_than_inputs
from sphinx_framework_masks.smoothing import smoothed


class EverywhereMask:
    """``none``: refine every pixel."""

    def __init__(self, config: BaseModel, device: torch.device, parts: Parts = NO_PARTS) -> None:
        self.config = config

    def mask(self, coarse: CoarseViews, scene: Scene, cluster: int | None) -> RefineMask:
        """Mark all pixels."""
        return torch.ones(coarse.images[:, 0].shape, dtype=torch.bool)


class OpacityMask:
    """``opacity``: refine where the render is uncertain; the mask lies on the CPU."""

    def __init__(
        self, config: OpacityConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        self.config = config

    def mask(self, coarse: CoarseViews, scene: Scene, cluster: int | None) -> RefineMask:
        """Mark uncertain pixels, smoothed."""
        return _finished(self.config, _uncertain(self.config, coarse), coarse)


class OpacityBlurMask:
    """``opacity-blur``: refine where the render is uncertain or blurry; the mask lies on the CPU.

    Source: paper section 5.3; reference behaviour with ``blur_polarity = "authors"``,
    ``channel_order = "bgr"``, ``union = true``, ``opacity_only_clusters = [1]``.
    """

    def __init__(
        self, config: OpacityBlurConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        self.config = config

    def mask(self, coarse: CoarseViews, scene: Scene, cluster: int | None) -> RefineMask:
        """Mark uncertain and blurry pixels, smoothed."""
        evidence = _uncertain(self.config, coarse)
        if self.config.blur and cluster not in self.config.opacity_only_clusters:
            evidence = [*evidence, self._blurry(coarse, scene)]
        return _finished(self.config, evidence, coarse)

    def _blurry(self, coarse: CoarseViews, scene: Scene) -> Tensor:
        views = blur.grey_levels(blur.to_uint8(coarse.images), self.config.channel_order)
        if self.config.blur_reference == "inputs":
            photos = blur.to_uint8(scene.images)
            inputs = blur.grey_levels(photos, self.config.channel_order)
            return blurrier_than_inputs(views, inputs, self.config.blur_below)
        blurry = blur.blurry_by_otsu(views)
        return blurry if self.config.blur_polarity == "paper" else ~blurry


def _uncertain(config: OpacityConfig, coarse: CoarseViews) -> list[Tensor]:
    if coarse.opacity is None:
        return []
    return [low_opacity(coarse.opacity.cpu(), config.opacity_below)]


def _finished(config: OpacityConfig, evidence: list[Tensor], coarse: CoarseViews) -> RefineMask:
    mask = any_evidence(evidence, like=torch.zeros(coarse.images[:, 0].shape, dtype=torch.bool))
    if config.union:
        mask = united_over_views(mask)
    if config.smooth:
        mask = smoothed(
            mask, config.close, config.open, config.density_window, config.density_count
        )
    return without_small_areas(mask, config.min_area)
