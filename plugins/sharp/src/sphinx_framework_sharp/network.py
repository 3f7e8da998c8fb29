"""The whole network: one square photo and its focal length to Gaussians in its frustum."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework_sharp.alignment import DepthAlignment
from sphinx_framework_sharp.compose import FrustumGaussians, Start, compose, initialise
from sphinx_framework_sharp.config import GaussianDecoderConfig, NetworkConfig
from sphinx_framework_sharp.decoder import Fusion, MultiresDecoder, NormedResidual, depth_head
from sphinx_framework_sharp.pyramid import SlidingPyramid

LAYERS = 2
GEOMETRY, TEXTURE = 3, 11
DISPARITY_RANGE = (1e-4, 1e4)


class MonodepthPredictor(nn.Module):
    """Image to encoder features and two layers of disparity."""

    def __init__(self, config: NetworkConfig, precision: torch.dtype) -> None:
        super().__init__()
        widths = config.monodepth_dims_decoder
        self.encoder = SlidingPyramid(config, precision)
        self.decoder = MultiresDecoder(config.encoder_dims, widths)
        self.head = depth_head(widths[0])

    def forward(self, images: Float[Tensor, "b 3 S S"]) -> tuple[list[Tensor], Tensor]:
        """Images in [0, 1] to features, finest first, and disparity ``[b, 2, S, S]``."""
        features = self.encoder(2 * images - 1)
        return features, self.head(self.decoder(features))


class MonodepthModel(nn.Module):
    """Holds the predictor under the checkpoint's name."""

    def __init__(self, config: NetworkConfig, precision: torch.dtype) -> None:
        super().__init__()
        self.monodepth_predictor = MonodepthPredictor(config, precision)


class _ImageEncoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(5, width, 2, stride=2)

    def forward(self, x: Float[Tensor, "b 5 S S"]) -> Float[Tensor, "b c s s"]:
        return self.conv(x)


class GaussianDecoder(nn.Module):
    """Encoder features, image and depth to texture and geometry features."""

    def __init__(self, sources: Sequence[int], config: GaussianDecoderConfig) -> None:
        super().__init__()
        width = config.dims_decoder[0]
        self.decoder = MultiresDecoder(sources, config.dims_decoder)
        self.image_encoder = _ImageEncoder(width)
        self.fusion = Fusion(width, width, double=False)
        self.texture_head = _head(width, config)
        self.geometry_head = _head(width, config)

    def forward(
        self, features: Sequence[Tensor], decoder_input: Float[Tensor, "b 5 S S"]
    ) -> tuple[Float[Tensor, "b c s s"], Float[Tensor, "b c s s"]]:
        """Return geometry and texture features."""
        x = self.fusion(self.decoder(features), self.image_encoder(decoder_input))
        return self.geometry_head(x), self.texture_head(x)


class PredictionHead(nn.Module):
    """Features to the changes of every Gaussian."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.geometry_prediction_head = nn.Conv2d(width, GEOMETRY * LAYERS, 1)
        self.texture_prediction_head = nn.Conv2d(width, TEXTURE * LAYERS, 1)

    def forward(
        self, geometry: Float[Tensor, "b c s s"], texture: Float[Tensor, "b c s s"]
    ) -> Float[Tensor, "b 14 2 s s"]:
        """Predict; channels are attribute-major, then layer."""
        return torch.cat(
            [
                self.geometry_prediction_head(geometry).unflatten(1, (GEOMETRY, LAYERS)),
                self.texture_prediction_head(texture).unflatten(1, (TEXTURE, LAYERS)),
            ],
            dim=1,
        )


class SharpNetwork(nn.Module):
    """Parameters as in the official checkpoint, unused ones included until :meth:`drop_unused`."""

    def __init__(self, config: NetworkConfig, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config = config
        self.monodepth_model = MonodepthModel(config, precision)
        self.feature_model = GaussianDecoder(config.encoder_dims, config.gaussian_decoder)
        self.prediction_head = PredictionHead(config.gaussian_decoder.dim_out)
        self.depth_alignment: nn.Module = DepthAlignment(config.alignment)

    def forward(
        self, images: Float[Tensor, "b 3 S S"], disparity_factor: Float[Tensor, " b"]
    ) -> FrustumGaussians:
        """Images in [0, 1], squashed to squares; focal length over width of the photos."""
        features, disparity = self.monodepth_model.monodepth_predictor(images)
        return self.gaussians(features, images, metric_depth(disparity, disparity_factor))

    def gaussians(
        self,
        features: Sequence[Tensor],
        images: Float[Tensor, "b 3 S S"],
        depth: Float[Tensor, "b 2 S S"],
    ) -> FrustumGaussians:
        """From the encoder's features and the depth of both layers in metres."""
        start: Start = initialise(images, depth)
        geometry, texture = self.feature_model(features, start.decoder_input)
        return compose(start, self.prediction_head(geometry, texture).float())

    def drop_unused(self) -> None:
        """Free what rendering never reads: classifiers, the alignment, two first residuals."""
        predictor = self.monodepth_model.monodepth_predictor
        predictor.encoder.patch_encoder.head = nn.Identity()
        predictor.encoder.image_encoder.head = nn.Identity()
        for decoder in (predictor.decoder, self.feature_model.decoder):
            decoder.fusions[-1].resnet1 = nn.Identity()
        self.depth_alignment = nn.Identity()


def metric_depth(
    disparity: Float[Tensor, "b 2 S S"], factor: Float[Tensor, " b"]
) -> Float[Tensor, "b 2 S S"]:
    """Disparity to camera z in metres."""
    return factor[:, None, None, None] / disparity.clamp(*DISPARITY_RANGE)


def _head(width: int, config: GaussianDecoderConfig) -> nn.Sequential:
    groups = config.norm_num_groups
    return nn.Sequential(
        NormedResidual(width, width, groups),
        NormedResidual(width, width, groups),
        nn.ReLU(),
        nn.Conv2d(width, config.dim_out, 1),
        nn.ReLU(),
    )
