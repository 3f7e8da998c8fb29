"""Cameras of unposed photos: what ``sphinx-nvs import --poses dust3r`` calls."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.types import Cameras, PhotoHints
from sphinx_framework_dust3r.config import DUSt3RConfig
from sphinx_framework_dust3r.reconstruction import Reconstruction
from sphinx_framework_dust3r.solve import Predictor, network_predictor, solve_photos
from sphinx_framework_dust3r.weights import build_network

DEPTH_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseEstimate:
    """Cameras of the photos, and the points that they were found with.

    cameras: for the photos' own pixels; the world is the first photo's camera, the unit of length
        is arbitrary.
    points: world points of the network images' pixels. colours: those pixels.
    confidence: of the points, 1 and above; 3 is a usual threshold.
    near, far: depths between which 98 % of the confident points lie, ``None`` if there are none.
    """

    cameras: Cameras
    points: Float[Tensor, "N h w 3"]
    colours: UInt8[Tensor, "N 3 h w"]
    confidence: Float[Tensor, "N h w"]
    near: float | None
    far: float | None
    warnings: tuple[str, ...] = ()


class DUSt3RPoseEstimator:
    """Estimates poses and focal lengths of photos of one place.

    Two photos are solved in closed form, more by global alignment.
    """

    def __init__(
        self,
        config: DUSt3RConfig,
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
        self.predict = predict or network_predictor(
            build_network(config, device), config.pair_batch
        )

    def estimate(
        self,
        images: Float[Tensor, "N 3 H W"],
        intrinsics: Float[Tensor, "N 3 3"] | None = None,
    ) -> Cameras:
        """Cameras of photos with values in [0, 1]; see :meth:`estimate_poses`."""
        return self.estimate_poses(images, intrinsics).cameras

    def estimate_poses(
        self,
        images: Float[Tensor, "N 3 H W"],
        intrinsics: Float[Tensor, "N 3 3"] | None = None,
        hints: PhotoHints | None = None,
    ) -> PoseEstimate:
        """Cameras, pointmaps and confidences of photos; hints are not used.

        intrinsics: in pixels of the photos; kept fixed when given. Otherwise one focal length per
        photo is estimated and the principal point is the image's middle.

        Raises:
            SceneError: no photo, unusable values, or photos too elongated for the network.
        """
        if images.ndim != 4 or images.shape[0] == 0 or images.shape[1] != 3:
            raise SceneError(
                f"poses are estimated from photos [N, 3, H, W], N at least 1; got "
                f"{tuple(images.shape)}."
            )
        if not torch.isfinite(images).all():
            raise SceneError("the photos hold NaN or infinity.")
        solved = solve_photos(images, self.predict, self.config, self.device, intrinsics=intrinsics)
        result = solved.reconstruction.seen_from(0)
        size = (images.shape[-2], images.shape[-1])
        near, far = _depth_range(result, self.config.alignment.min_confidence)
        in_network = result.cameras
        cameras = replace(
            in_network,
            intrinsics=solved.plan.intrinsics_to_photo(in_network.intrinsics),
            image_size=size,
        )
        return PoseEstimate(
            cameras=cameras.to(images.device),
            points=result.points.to(images.device),
            colours=solved.pixels.to(images.device),
            confidence=result.confidence.to(images.device),
            near=near,
            far=far,
            warnings=result.warnings,
        )


def estimate_poses(
    images: Float[Tensor, "N 3 H W"],
    *,
    config: DUSt3RConfig | None = None,
    device: torch.device | None = None,
) -> PoseEstimate:
    """Estimate cameras of photos with values in [0, 1] in one call."""
    estimator = DUSt3RPoseEstimator(config or DUSt3RConfig(), device or torch.device("cpu"))
    return estimator.estimate_poses(images)


def _depth_range(result: Reconstruction, threshold: float) -> tuple[float | None, float | None]:
    usable = (result.confidence > threshold) & (result.depth > 0)
    depths = result.depth[usable].sort().values
    if len(depths) == 0:
        return None, None
    skipped = int(DEPTH_SHARE * len(depths))
    return float(depths[skipped]), float(depths[-1 - skipped])
