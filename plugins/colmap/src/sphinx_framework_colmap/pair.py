"""Two photos with a stated focal length: the essential matrix, by OpenCV."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from sphinx_framework_colmap.mapping import Mapped
from sphinx_framework_colmap.matching import SEED, Matched, pair_matches

_LEAST_MATCHES = 12
_ERROR = 1.5
# Degrees between the rays of the median point; below, the photos are from one place.
_LEAST_ANGLE = 0.25


def map_pair(matched: Matched, focal: float) -> Mapped | None:
    """Cameras of photos 0 and 1; ``None`` where they share too little or were not moved."""
    first, second = pair_matches(matched, 0, 1)
    if len(first) < _LEAST_MATCHES:
        return None
    camera = camera_matrix(matched, focal)
    cv2.setRNGSeed(SEED)
    matrix, kept = cv2.findEssentialMat(
        first, second, camera, method=cv2.RANSAC, prob=0.9999, threshold=_ERROR
    )
    if np.shape(matrix) != (3, 3):
        return None
    model = placed_pair(matrix, first, second, camera, focal, kept)
    if model is None or model.support < _LEAST_MATCHES:
        return None
    return model


def camera_matrix(matched: Matched, focal: float) -> Float[np.ndarray, "3 3"]:
    """Intrinsics of the matched photos, for a focal length in their pixels."""
    height, width = matched.size
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])


def placed_pair(
    matrix: Float[np.ndarray, "3 3"],
    first: Float[np.ndarray, "M 2"],
    second: Float[np.ndarray, "M 2"],
    camera: Float[np.ndarray, "3 3"],
    focal: float,
    kept: UInt8[np.ndarray, "M 1"],
) -> Mapped | None:
    """Cameras and depths of an essential matrix; ``None`` where the photos were not moved.

    kept: which matches count. The support is how many of them lie in front of both cameras.
    """
    count, rotation, move, kept, points = cv2.recoverPose(
        matrix, first, second, camera, distanceThresh=1e6, mask=kept
    )
    inside = kept.ravel() > 0
    if count == 0:
        return None
    placed = (points[:3] / points[3]).T[inside]
    centre = -rotation.T @ move.ravel()
    if _angle(placed, centre) < _LEAST_ANGLE:
        return None
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation.T, centre
    depths = np.concatenate([placed[:, 2], (placed @ rotation.T + move.ravel())[:, 2]])
    return Mapped(
        focal=focal,
        refined=focal,
        support=float(count),
        poses={0: np.eye(4), 1: pose},
        depths=depths,
    )


def _angle(points: Float[np.ndarray, "M 3"], centre: Float[np.ndarray, " 3"]) -> float:
    """Median angle in degrees under which a point sees the two cameras."""
    first, second = points, points - centre
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    cosines = np.clip((first * second).sum(axis=1) / norms, -1, 1)
    return float(np.degrees(np.median(np.arccos(cosines))))
