"""Two photos: the relative pose with which all their matches agree best.

With two photos there is no third that a wrong way would contradict, and a small step straight
ahead has more than one pose that a search may end in. So the pose is followed downhill, on the
distances of all matches to their epipolar lines, from where it was found and from steps along axes.
"""

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from jaxtyping import Float
from scipy.optimize import least_squares

from sphinx_framework_colmap.mapping import Mapped
from sphinx_framework_colmap.matching import Matched, pair_matches
from sphinx_framework_colmap.pair import camera_matrix, placed_pair

# Pixels: matches farther from their line than this count less and less; those beyond the limits of
# a round do not count in it, and all beyond the last one cost the same.
_LOSS = 0.5
_LIMITS = (8.0, 4.0, 2.0, 1.5)
_LEAST_MATCHES = 20
_IN_FRONT = 0.7
_MOST_RIGHT = 0.6
# Along axes and between them, in camera coordinates.
_STEPS = ((0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 0, 1), (-1, 0, 1), (0, 1, 1), (0, -1, 1))

_Pose = tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, " 3"]]


def polished(matched: Matched, model: Mapped) -> Mapped:
    """The model of photos 0 and 1 with its pose at the least of all that are reached."""
    first, second = pair_matches(matched, 0, 1)
    camera = camera_matrix(matched, model.focal)
    seen = np.linalg.inv(model.poses[1]) @ model.poses[0]
    pair = _Epipolar(first, second, np.linalg.inv(camera))
    starts = [(seen[:3, :3], seen[:3, 3]), *((np.eye(3), np.array(step, float)) for step in _STEPS)]
    rotation, move = min(
        (pair.downhill(*start) for start in starts), key=lambda end: pair.cost(*end)
    )
    right = np.abs(pair.distances(rotation, move)) < _LIMITS[-1]
    if right.mean() < _MOST_RIGHT:  # among many wrong matches the mapper's own checks know better
        return model
    matrix, kept = _crossed(move) @ rotation, right[:, None].astype(np.uint8)
    placed = placed_pair(matrix, first, second, camera, model.focal, kept)
    if placed is None or placed.support < _IN_FRONT * right.sum():  # not a pose of two cameras
        return model
    return replace(model, poses=placed.poses, depths=placed.depths)


class _Epipolar:
    """Matches of two photos, as distances to the lines on which a pose puts them."""

    def __init__(
        self,
        first: Float[np.ndarray, "M 2"],
        second: Float[np.ndarray, "M 2"],
        from_pixels: Float[np.ndarray, "3 3"],
    ) -> None:
        self.first, self.second = (np.c_[p, np.ones(len(p))] for p in (first, second))
        self.from_pixels = from_pixels

    def distances(
        self, rotation: Float[np.ndarray, "3 3"], move: Float[np.ndarray, " 3"]
    ) -> Float[np.ndarray, " M"]:
        """Sampson's, in pixels."""
        matrix = self.from_pixels.T @ _crossed(move) @ rotation @ self.from_pixels
        lines, others = self.first @ matrix.T, self.second @ matrix
        slopes = (lines[:, :2] ** 2).sum(1) + (others[:, :2] ** 2).sum(1)
        return np.asarray((self.second * lines).sum(1) / np.sqrt(slopes + 1e-18))

    def downhill(self, rotation: Float[np.ndarray, "3 3"], move: Float[np.ndarray, " 3"]) -> _Pose:
        """The pose where it ends; the move has length 1."""
        move = move / np.linalg.norm(move)
        for limit in _LIMITS:  # each around where the last one ended
            near = np.abs(self.distances(rotation, move)) < limit
            if near.sum() < _LEAST_MATCHES:
                break
            turned = partial(_turned, rotation, move, np.linalg.svd(move[None])[2][1:])
            found = least_squares(
                lambda x, near=near, turned=turned: self.distances(*turned(x))[near],
                np.zeros(5),
                loss="soft_l1",
                f_scale=_LOSS,
            )
            rotation, move = turned(found.x)
        return rotation, move

    def cost(self, rotation: Float[np.ndarray, "3 3"], move: Float[np.ndarray, " 3"]) -> float:
        """Mean square of the distances; a wrong match costs what the last limit does."""
        return float(np.minimum(self.distances(rotation, move) ** 2, _LIMITS[-1] ** 2).mean())


def _turned(
    rotation: Float[np.ndarray, "3 3"],
    move: Float[np.ndarray, " 3"],
    across: Float[np.ndarray, "2 3"],
    x: Float[np.ndarray, " 5"],
) -> _Pose:
    """The pose with its move turned by two numbers, its rotation by three."""
    way = move + x[:2] @ across
    return cv2.Rodrigues(x[2:])[0] @ rotation, way / np.linalg.norm(way)


def _crossed(v: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """The matrix of the cross product with a vector."""
    return np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
