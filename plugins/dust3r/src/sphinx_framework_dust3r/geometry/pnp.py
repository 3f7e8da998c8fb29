"""Camera pose from a pointmap and the pixels its points are seen at (RANSAC with SQPnP)."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sphinx_framework_dust3r.geometry.pinhole import inverse_pose
from sphinx_framework_dust3r.geometry.refinement import FEWEST_POINTS, refine_pose

REPROJECTION_ERROR = 5.0


def pose_from_points(
    points: Float[Tensor, "H W 3"],
    pixels: Float[Tensor, "H W 2"],
    mask: Bool[Tensor, "H W"],
    intrinsics: Float[Tensor, "3 3"],
    *,
    iterations: int,
    refine: bool = False,
) -> Float[Tensor, "4 4"] | None:
    """Camera-to-points pose of the camera that sees ``points`` at ``pixels``; ``None`` if unclear.

    mask: pixels that take part. Inliers reproject within 5 pixels. The random choices of OpenCV's
    RANSAC are the same in every run. refine: move on to the smallest distances of the inliers.
    """
    import cv2

    seen = mask & torch.isfinite(points).all(-1)
    if int(seen.sum()) < FEWEST_POINTS:
        return None
    chosen, places = points[seen].double().cpu(), pixels[seen].double().cpu()
    matrix = intrinsics.double().cpu()
    try:
        found, turn, shift, _ = cv2.solvePnPRansac(
            chosen.numpy(),
            places.numpy(),
            matrix.numpy(),
            None,
            iterationsCount=iterations,
            reprojectionError=REPROJECTION_ERROR,
            flags=cv2.SOLVEPNP_SQPNP,
        )
    except cv2.error:
        return None
    if not found or not (np.isfinite(turn).all() and np.isfinite(shift).all()):
        return None
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = torch.from_numpy(cv2.Rodrigues(turn)[0])
    pose[:3, 3] = torch.from_numpy(shift[:, 0])
    if refine:
        pose = refine_pose(pose, chosen, places, matrix, reach=REPROJECTION_ERROR)
    return inverse_pose(pose).to(points)
