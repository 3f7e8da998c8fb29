"""The whole encoder: posed images to pixel-aligned 3-D Gaussians."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework_mvsplat.adapter import PixelGaussians, gaussians_of, opacity_of
from sphinx_framework_mvsplat.backbone import Backbone
from sphinx_framework_mvsplat.config import EncoderConfig
from sphinx_framework_mvsplat.depth import DepthPrediction, DepthPredictor


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextViews:
    """A batch of scenes as the encoder takes them: ``b`` scenes of ``v >= 2`` views.

    images: RGB in [0, 1], sides multiples of :attr:`EncoderConfig.legal_multiple`.
    intrinsics: row 0 divided by the image width, row 1 by its height.
    near, far: depth range of every view in the units of the poses (OpenCV axes).
    """

    images: Float[Tensor, "b v 3 H W"]
    world_from_camera: Float[Tensor, "b v 4 4"]
    intrinsics: Float[Tensor, "b v 3 3"]
    near: Float[Tensor, "b v"]
    far: Float[Tensor, "b v"]


class Encoder(nn.Module):
    """Backbone, depth predictor and Gaussian adapter; parameters as in the official checkpoints.

    precision: of the networks; the sweep and all geometry stay in float32.
    degree: of the harmonics that are returned; the renderer reads no more than 3.
    """

    def __init__(
        self,
        config: EncoderConfig,
        precision: torch.dtype = torch.float32,
        degree: int | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.precision = precision
        self.degree = degree
        self.backbone = Backbone(config)
        self.depth_predictor = DepthPredictor(config)

    def forward(self, views: ContextViews) -> PixelGaussians:
        """Encode; the order is view, row, column, place along the ray."""
        prediction = self.predict_depth(views)
        opacities = opacity_of(
            prediction.densities, self.config.opacity_exponent, self.config.gaussians_per_pixel
        )
        return gaussians_of(
            prediction.raw_gaussians,
            prediction.depths,
            opacities,
            views.world_from_camera,
            views.intrinsics,
            (views.images.shape[3], views.images.shape[4]),
            self.config,
            self.degree,
        )

    def predict_depth(self, views: ContextViews) -> DepthPrediction:
        """Run the networks, without the adapter."""
        with self._reduced_precision(views.images.device):
            extracted, features = self.backbone(views.images)
            return self.depth_predictor(
                views.images,
                extracted,
                features,
                views.world_from_camera,
                views.intrinsics,
                views.near,
                views.far,
            )

    def _reduced_precision(self, device: torch.device) -> AbstractContextManager[object]:
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(device.type, dtype=self.precision)
