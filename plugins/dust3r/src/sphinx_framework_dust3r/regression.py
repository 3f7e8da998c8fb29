"""The regression model: DUSt3R's point cloud in the scene's coordinates, drawn at the targets."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.splatting.points import render_points
from sphinx_framework.types import Cameras, CoarseViews, Scene
from sphinx_framework_dust3r.config import DUSt3RRegressionConfig
from sphinx_framework_dust3r.images import Preparation
from sphinx_framework_dust3r.point_cloud import PointCloud, point_cloud
from sphinx_framework_dust3r.reconstruction import Reconstruction
from sphinx_framework_dust3r.solve import (
    Predictor,
    SolvedPhotos,
    network_predictor,
    solve_photos,
)
from sphinx_framework_dust3r.weights import build_network

LEAST_OPACITY = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class PointViews(CoarseViews):
    """Coarse views of a point cloud.

    images: straight colours, black where nothing was drawn; ``images * opacity`` fades to black.
    confidence: DUSt3R's, of what was drawn at a pixel: 1 and above, 0 where nothing was.
    """

    confidence: Float[Tensor, "T H W"]


class DUSt3RRegression:
    """Renders the targets of a posed scene from DUSt3R pointmaps.

    The scene's poses and intrinsics stay as they are; pair frames and depths are fitted to them.
    """

    def __init__(
        self,
        config: DUSt3RRegressionConfig,
        device: torch.device,
        parts: Parts = NO_PARTS,
        *,
        predict: Predictor | None = None,
    ) -> None:
        """Build the network.

        predict: another source of pointmaps in place of the network (then no weights are loaded).

        Raises:
            WeightsError: the checkpoint is missing or does not fit.
        """
        self.config = config
        self.device = device
        self.predict_pairs = predict or network_predictor(
            build_network(config, device), config.pair_batch
        )

    def predict(self, scene: Scene) -> PointViews:
        """Draw all targets; opacity is what the points cover.

        Raises:
            SceneError: photos too elongated for the network.
            JobError: the alignment diverged.
        """
        solved = self.reconstruct(scene)
        views = self.draw(point_cloud(solved, self.config), scene.targets, solved.plan)
        return replace(views, warnings=solved.reconstruction.warnings)

    def reconstruct(self, scene: Scene) -> SolvedPhotos:
        """Depths of the input photos in the unit of the scene."""
        solved = solve_photos(
            scene.images,
            self.predict_pairs,
            self.config,
            self.device,
            poses=scene.inputs.world_from_camera,
            intrinsics=scene.inputs.intrinsics,
        )
        if len(scene.inputs) > 1:
            return solved
        in_range = in_depth_range(solved.reconstruction, scene.near, scene.far)
        return replace(solved, reconstruction=in_range)

    def draw(self, cloud: PointCloud, targets: Cameras, plan: Preparation) -> PointViews:
        """Draw points at the network's resolution and bring the views to the targets' size."""
        canvas = Cameras(
            world_from_camera=targets.world_from_camera,
            intrinsics=plan.intrinsics_to_resized(targets.intrinsics),
            image_size=plan.resized,
        )
        features = torch.cat((cloud.colours, cloud.confidence[:, None]), dim=1)
        drawn = render_points(
            cloud.points,
            features,
            canvas.to(self.device),
            radius=self.config.radius,
            points_per_pixel=self.config.points_per_pixel,
        )
        layers = torch.cat((drawn.images, drawn.opacity[:, None], drawn.depth[:, None]), dim=1)
        full = functional.interpolate(
            layers, targets.image_size, mode="bilinear", align_corners=False
        ).to(targets.intrinsics.device)
        opacity = full[:, 4]
        straight = torch.where(
            opacity[:, None] > LEAST_OPACITY, full / opacity[:, None].clamp(min=LEAST_OPACITY), 0
        )
        return PointViews(
            images=straight[:, :3].clamp(0, 1),
            opacity=opacity.clamp(0, 1),
            depth=straight[:, 5],
            confidence=straight[:, 3],
        )


def in_depth_range(
    reconstruction: Reconstruction, near: float | None, far: float | None
) -> Reconstruction:
    """One photo has no unit of length: put its median depth into the middle of the depth range.

    The middle is the geometric mean of ``near`` and ``far``; without them a warning is added.
    """
    depth = reconstruction.depth
    ahead = depth[depth > 0]
    if near is None or far is None or len(ahead) == 0:
        warning = "depths of a single photo have an arbitrary unit; near and far would set it"
        return replace(reconstruction, warnings=(*reconstruction.warnings, warning))
    return reconstruction.scaled(math.sqrt(near * far) / float(ahead.median()))
