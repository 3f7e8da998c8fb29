"""Cameras of photos by SIFT and the essential matrix of each photo with the first (OpenCV)."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.options import Options
from sphinx_framework.types import Cameras, PhotoHints

GUESSED_FOCAL = 0.9  # widths
FEWEST = 12


@dataclass(frozen=True)
class Estimate:
    """What a pose estimator answers."""

    cameras: Cameras
    near: float | None
    far: float | None
    warnings: tuple[str, ...]


class TwoViews:
    """Photos along a track: lengths of moves are guessed, directions are measured."""

    def __init__(self, options: Options, device: torch.device) -> None:
        """Nothing to load."""

    def estimate_poses(self, images: Tensor, *, hints: PhotoHints | None = None) -> Estimate:
        """One camera per photo."""
        count, _, height, width = images.shape
        focal = hints.focal if hints is not None and hints.focal else GUESSED_FOCAL * width
        k = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        grey = (images.mean(1).clamp(0, 1) * 255).byte().cpu().numpy()
        found = [cv2.SIFT_create().detectAndCompute(photo, None) for photo in grey]
        poses = np.tile(np.eye(4), (count, 1, 1))
        for index in range(1, count):
            poses[index] = self._relative(found[0], found[index], k, index)
            poses[index, :3, 3] *= index / max(1, count - 1)
        intrinsics = torch.tensor(k, dtype=torch.float32).repeat(count, 1, 1)
        cameras = Cameras(
            world_from_camera=torch.tensor(poses, dtype=torch.float32),
            intrinsics=intrinsics,
            image_size=(height, width),
        )
        return Estimate(cameras, 0.5, 50.0, ("the lengths of the camera's moves are guessed",))

    def _relative(self, first, other, k, index):
        """Camera-to-world of a photo in the frame of the first."""
        if first[1] is None or other[1] is None:
            raise SceneError(f"photo {index} has nothing in common with the first.")
        pairs = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(first[1], other[1])
        if len(pairs) < FEWEST:
            raise SceneError(f"photo {index} has too little in common with the first.")
        a = np.array([first[0][pair.queryIdx].pt for pair in pairs])
        b = np.array([other[0][pair.trainIdx].pt for pair in pairs])
        cv2.setRNGSeed(0)
        essential, inliers = cv2.findEssentialMat(a, b, k, cv2.RANSAC, 0.999, 1.0)
        if essential is None or essential.shape != (3, 3):
            raise SceneError(f"photo {index} cannot be placed against the first.")
        _, rotation, move, _ = cv2.recoverPose(essential, a, b, k, mask=inliers)
        pose = np.eye(4)
        pose[:3, :3] = rotation.T
        pose[:3, 3] = -(rotation.T @ move)[:, 0]
        return pose
