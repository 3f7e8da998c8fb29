"""Weighted similarity transforms between point sets (Umeyama 1991), batched."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework_dust3r.geometry.pinhole import rigid

EPSILON_SHARE = 100
SMALLEST = 1e-12


class Similarity(NamedTuple):
    """``y = scale * rotation @ x + translation``."""

    scale: Float[Tensor, "*E"]
    rotation: Float[Tensor, "*E 3 3"]
    translation: Float[Tensor, "*E 3"]

    @property
    def pose(self) -> Float[Tensor, "*E 4 4"]:
        """Rotation and translation without the scale."""
        return rigid(self.rotation, self.translation)

    def apply(self, points: Float[Tensor, "H W 3"]) -> Float[Tensor, "H W 3"]:
        """Transform a pointmap (of an unbatched similarity)."""
        return self.scale * points @ self.rotation.T + self.translation


def weighted_similarity(
    source: Float[Tensor, "*E P 3"],
    target: Float[Tensor, "*E P 3"],
    weights: Float[Tensor, "*E P"],
) -> Similarity:
    """The similarity of least weighted squared error from ``source`` to ``target``."""
    share = (weights / weights.sum(-1, keepdim=True))[..., None].double()
    x, y = source.double(), target.double()
    mean_x, mean_y = (share * x).sum(-2), (share * y).sum(-2)
    from_mean_x, from_mean_y = x - mean_x[..., None, :], y - mean_y[..., None, :]
    covariance = (share * from_mean_y).transpose(-1, -2) @ from_mean_x
    left, singular, right = torch.linalg.svd(covariance)
    # A reflection fits mirrored points better; the smallest axis is turned back to a rotation.
    mirrored = torch.det(left @ right) < 0
    signs = torch.ones_like(singular)
    signs[..., 2] = torch.where(mirrored, -1.0, 1.0)
    rotation = left @ (signs[..., :, None] * right)
    variance = (share[..., 0] * from_mean_x.square().sum(-1)).sum(-1)
    # Kept positive for points that fit no similarity, so that a logarithm can be taken.
    scale = ((singular * signs).sum(-1) / variance.clamp(min=SMALLEST)).clamp(min=SMALLEST)
    translation = mean_y - scale[..., None] * (rotation @ mean_x[..., None])[..., 0]
    return Similarity(
        scale.to(source.dtype), rotation.to(source.dtype), translation.to(source.dtype)
    )


def align_poses(source: Float[Tensor, "*E V 4 4"], target: Float[Tensor, "*E V 4 4"]) -> Similarity:
    """The similarity that brings one set of camera poses onto another.

    Fitted to the camera centres and a point a little in front of each (a hundredth of the median
    distance between centres), which fixes the roll that centres alone leave open.
    """
    points, others = _centres_and_axes(source), _centres_and_axes(target)
    return weighted_similarity(points, others, torch.ones_like(points[..., 0]))


def _centres_and_axes(poses: Float[Tensor, "*E V 4 4"]) -> Float[Tensor, "*E P 3"]:
    centres, axes = poses[..., :3, 3], poses[..., :3, 2]
    first, second = torch.triu_indices(centres.shape[-2], centres.shape[-2], offset=1)
    gaps = torch.linalg.vector_norm(centres[..., first, :] - centres[..., second, :], dim=-1)
    step = gaps.quantile(0.5, dim=-1)[..., None, None] / EPSILON_SHARE
    return torch.cat((centres, centres + step * axes), dim=-2)
