"""The coloured points of a reconstruction that are drawn."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sphinx_framework_dust3r.cleaning import cleaned_confidence, confident_or_distant
from sphinx_framework_dust3r.config import DUSt3RRegressionConfig
from sphinx_framework_dust3r.reconstruction import Reconstruction
from sphinx_framework_dust3r.solve import SolvedPhotos


@dataclass(frozen=True, slots=True, kw_only=True)
class PointCloud:
    """Points in scene coordinates, one per kept pixel of the network images.

    colours: RGB in [0, 1]. confidence: 1 and above.
    """

    points: Float[Tensor, "P 3"]
    colours: Float[Tensor, "P 3"]
    confidence: Float[Tensor, " P"]


def point_cloud(solved: SolvedPhotos, config: DUSt3RRegressionConfig) -> PointCloud:
    """Collect the points to draw."""
    reconstruction = solved.reconstruction
    kept = kept_pixels(reconstruction, config)
    colours = solved.pixels.to(kept.device).permute(0, 2, 3, 1).float() / 255
    return PointCloud(
        points=reconstruction.points[kept],
        colours=colours[kept],
        confidence=reconstruction.confidence[kept],
    )


def kept_pixels(
    reconstruction: Reconstruction, config: DUSt3RRegressionConfig
) -> Bool[Tensor, "N H W"]:
    """Pixels whose points are drawn: all of them, or the confident and the distant ones."""
    everything = config.keep == "all" or (config.keep == "auto" and len(reconstruction.poses) < 3)
    if everything:
        return torch.ones_like(reconstruction.confidence, dtype=torch.bool)
    confidence = reconstruction.confidence
    if config.clean:
        confidence = cleaned_confidence(reconstruction)
    return confident_or_distant(
        reconstruction, confidence, keep_above=config.keep_above, background=config.background
    )
