"""Camera pose from a pointmap and the pixels its points are seen at (RANSAC with SQPnP)."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sphinx_framework_dust3r.geometry.pinhole import inverse_pose

REPROJECTION_ERROR = 5.0
FEWEST_POINTS = 4


def pose_from_points(
    points: Float[Tensor, "H W 3"],
    pixels: Float[Tensor, "H W 2"],
    mask: Bool[Tensor, "H W"],
    intrinsics: Float[Tensor, "3 3"],
    *,
    iterations: int,
) -> Float[Tensor, "4 4"] | None:
    """Camera-to-points pose of the camera that sees ``points`` at ``pixels``; ``None`` if unclear.

    mask: pixels that take part. Inliers reproject within 5 pixels. The random choices of OpenCV's
    RANSAC are the same in every run.
    """
    import cv2

    seen = mask & torch.isfinite(points).all(-1)
    if int(seen.sum()) < FEWEST_POINTS:
        return None
    try:
        found, turn, shift, _ = cv2.solvePnPRansac(
            points[seen].double().cpu().numpy(),
            pixels[seen].double().cpu().numpy(),
            intrinsics.double().cpu().numpy(),
            None,
            iterationsCount=iterations,
            reprojectionError=REPROJECTION_ERROR,
            flags=cv2.SOLVEPNP_SQPNP,
        )
    except cv2.error:
        return None
    if not found or not (np.isfinite(turn).all() and np.isfinite(shift).all()):
        return None
    camera_from_points = np.eye(4)
    camera_from_points[:3, :3] = cv2.Rodrigues(turn)[0]
    camera_from_points[:3, 3] = shift[:, 0]
    return inverse_pose(torch.from_numpy(camera_from_points)).to(points)
