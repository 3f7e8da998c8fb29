"""What the global alignment minimises, and how its variables become a reconstruction.

The descent is chaotic: a last bit decides how its middle goes. Here, in ``state`` and in
``geometry`` operations come in the order of the numeric fixtures, so that losses are theirs to the
bit where the processor rounds alike.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sphinx_framework_dust3r.alignment.state import (
    PRINCIPAL_POINT_CODE,
    AlignmentState,
    decode_focals,
    decode_poses,
    edge_transforms,
)
from sphinx_framework_dust3r.geometry.pinhole import pixel_grid, transform, unproject
from sphinx_framework_dust3r.pairs import PairPredictions
from sphinx_framework_dust3r.reconstruction import KnownCameras, half_image


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """Mean distance, weighted by ln(confidence), of world points from the pairs' pointmaps.

    image_centres: half of width and height. focal_ratio: focal length along x and y over the
    optimised one. pinned: the geometric mean of
    the pairs' scales is fixed, because nothing else sets the unit of length.
    """

    pairs: PairPredictions
    first: Int[Tensor, " E"]
    second: Int[Tensor, " E"]
    first_weights: Float[Tensor, "E H W"]
    second_weights: Float[Tensor, "E H W"]
    grid: Float[Tensor, "H W 2"]
    image_centres: Float[Tensor, "N 2"]
    focal_ratio: Float[Tensor, "N 2"]
    pinned: bool

    def loss(self, state: AlignmentState) -> Float[Tensor, ""]:
        """``mean w_i |X_i - P(pred_i)| + mean w_j |X_j - P(pred_j)|`` over pairs and pixels."""
        points = self.world_points(state)
        to_world = edge_transforms(state.edges, pinned=self.pinned)
        first = points[self.first] - transform(to_world, self.pairs.first_points)
        second = points[self.second] - transform(to_world, self.pairs.second_points)
        return (self.first_weights * torch.linalg.vector_norm(first, dim=-1)).mean() + (
            self.second_weights * torch.linalg.vector_norm(second, dim=-1)
        ).mean()

    def world_points(self, state: AlignmentState) -> Float[Tensor, "N H W 3"]:
        """Depths unprojected into the world."""
        cameras = unproject(
            self.depths(state), self.grid, self.focals(state), self.principal_points(state)
        )
        return transform(decode_poses(state.poses), cameras)

    def depths(self, state: AlignmentState) -> Float[Tensor, "N H W"]:
        """Camera-z of every pixel."""
        return state.depths.exp().unflatten(1, self.pairs.image_size)

    def focals(self, state: AlignmentState) -> Float[Tensor, "N 2"]:
        """Focal lengths along x and y in pixels."""
        return decode_focals(state.focals) * self.focal_ratio

    def principal_points(self, state: AlignmentState) -> Float[Tensor, "N 2"]:
        """Principal points in pixels."""
        return self.image_centres + PRINCIPAL_POINT_CODE * state.principal_points


def build_objective(pairs: PairPredictions, known: KnownCameras, pixel_centre: float) -> Objective:
    """The objective of a set of pairs with what is known of the cameras."""
    points = pairs.first_points
    centres = half_image(pairs.num_images, pairs.image_size, points)
    ratio = torch.ones_like(centres)
    if known.focals is not None:
        ratio = known.focals / known.focals[:, :1]
    first, second = torch.tensor(pairs.edges, device=points.device).T
    return Objective(
        pairs=pairs,
        first=first,
        second=second,
        first_weights=pairs.first_confidence.log(),
        second_weights=pairs.second_confidence.log(),
        grid=pixel_grid(pairs.image_size, pixel_centre, points.device),
        image_centres=centres,
        focal_ratio=ratio,
        pinned=known.poses is None,
    )
