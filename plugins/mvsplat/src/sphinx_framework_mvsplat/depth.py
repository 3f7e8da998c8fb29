"""Depth, density and raw Gaussian parameters per pixel."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework_mvsplat.config import DOWNSCALE, EncoderConfig
from sphinx_framework_mvsplat.plane_sweep import depth_candidates, plane_sweep
from sphinx_framework_mvsplat.unet import Stage, UNet, conv3x3


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthPrediction:
    """What the predictor knows about every pixel (row-major) of every view.

    depths: scene units. densities: in [0, 1]. raw_gaussians: see :mod:`.adapter`.
    coarse_inverse_depth, confidence: before refinement, brought to full resolution.
    """

    depths: Float[Tensor, "b v p k"]
    densities: Float[Tensor, "b v p k"]
    raw_gaussians: Float[Tensor, "b v p g"]
    coarse_inverse_depth: Float[Tensor, "b v 1 H W"]
    confidence: Float[Tensor, "b v 1 H W"]


class DepthPredictor(nn.Module):
    """Plane sweep, cost-volume refinement, coarse depth, refinement at full resolution."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        features, candidates = config.d_feature, config.num_depth_candidates
        coarse, fine = config.costvolume_unet_feat_dim, config.depth_unet_feat_dim
        raw = config.raw_channels
        self.candidates = candidates
        self.corr_refine_net = Stage(
            [
                conv3x3(candidates + features, coarse),
                nn.GroupNorm(8, coarse),
                nn.GELU(),
                UNet(
                    coarse,
                    config.costvolume_unet_channel_mult,
                    config.costvolume_unet_attn_res,
                    config.unet_head_channels,
                ),
                conv3x3(coarse, candidates),
            ]
        )
        self.regressor_residual = nn.Conv2d(candidates + features, candidates, 1)
        self.depth_head_lowres = nn.Sequential(
            conv3x3(candidates, 2 * candidates), nn.GELU(), conv3x3(2 * candidates, candidates)
        )
        self.upsampler = nn.ModuleList([conv3x3(2 * features, features)])
        self.proj_feature = conv3x3(features, fine)
        self.refine_unet = Stage(
            [
                conv3x3(3 + fine + 1 + 1, fine),
                nn.GroupNorm(4, fine),
                nn.GELU(),
                UNet(
                    fine,
                    config.depth_unet_channel_mult,
                    config.depth_unet_attn_res,
                    config.unet_head_channels,
                ),
            ]
        )
        self.to_gaussians = nn.Sequential(
            conv3x3(fine + 3 + features, 2 * raw), nn.GELU(), conv3x3(2 * raw, raw)
        )
        self.to_disparity = nn.Sequential(
            conv3x3(fine, 2 * fine),
            nn.GELU(),
            conv3x3(2 * fine, 2 * config.gaussians_per_pixel),
        )

    def forward(
        self,
        images: Float[Tensor, "b v 3 H W"],
        cnn_features: Float[Tensor, "b v C h w"],
        features: Float[Tensor, "b v C h w"],
        world_from_camera: Float[Tensor, "b v 4 4"],
        intrinsics: Float[Tensor, "b v 3 3"],
        near: Float[Tensor, "b v"],
        far: Float[Tensor, "b v"],
    ) -> DepthPrediction:
        """Predict from raw images in [0, 1] and the backbone's features.

        intrinsics: normalised by the image size. near, far: depth range per view.
        """
        leading = images.shape[:2]
        views = images.shape[1]
        inverse_depths = depth_candidates(near, far, self.candidates)
        with torch.autocast(images.device.type, enabled=False):
            volume = plane_sweep(features, world_from_camera, intrinsics, inverse_depths)
        cost = torch.cat([volume, features], dim=2).flatten(0, 1)
        refined = self.corr_refine_net(cost, views) + self.regressor_residual(cost)
        probability = self.depth_head_lowres(refined).float().softmax(dim=1)
        planes = inverse_depths.flatten(0, 1)[:, :, None, None]
        coarse = _enlarged((probability * planes).sum(1, keepdim=True))
        confidence = functional.interpolate(
            probability.amax(1, keepdim=True), scale_factor=float(DOWNSCALE), mode="nearest"
        )
        photos = images.flatten(0, 1)
        both = torch.cat([features, cnn_features], dim=2).flatten(0, 1)
        detail = functional.gelu(_enlarged(self.upsampler[0](both)))
        seen = torch.cat([photos, self.proj_feature(detail), coarse, confidence], dim=1)
        refinement = self.refine_unet(seen, views)
        raw = self.to_gaussians(torch.cat([refinement, photos, detail], dim=1))
        correction, density = self.to_disparity(refinement).float().chunk(2, dim=1)
        inverse = (coarse + correction).clamp(
            min=(1 / far).flatten()[:, None, None, None],
            max=(1 / near).flatten()[:, None, None, None],
        )

        def per_pixel(maps: Float[Tensor, "_ k H W"]) -> Float[Tensor, "b v p k"]:
            return maps.float().flatten(2).transpose(1, 2).unflatten(0, leading)

        return DepthPrediction(
            depths=per_pixel(1 / inverse),
            densities=per_pixel(density.sigmoid()),
            raw_gaussians=per_pixel(raw),
            coarse_inverse_depth=coarse.unflatten(0, leading),
            confidence=confidence.unflatten(0, leading),
        )


def _enlarged(maps: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C H W"]:
    return functional.interpolate(
        maps, scale_factor=float(DOWNSCALE), mode="bilinear", align_corners=True
    )
