"""Pointmaps of known cameras in place of the network's: to test and measure the geometry."""

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.types import Cameras
from sphinx_framework_dust3r.geometry.pinhole import (
    inverse_pose,
    pixel_grid,
    transform,
    unproject,
)
from sphinx_framework_dust3r.images import Preparation
from sphinx_framework_dust3r.pairs import Edge, PairPredictions

SCALES = (0.5, 2.0)
CONFIDENCES = (1.0, 10.0)


class SyntheticPointmaps:
    """A predictor with true cameras and made-up depths.

    Every pair has a random scale, every pixel a random confidence and every coordinate
    multiplicative noise, as the network's pairs have.
    """

    def __init__(
        self, cameras: Cameras, plan: Preparation, *, noise: float = 0.0, seed: int = 0
    ) -> None:
        """Make up wavy depths for photos of these cameras, prepared by ``plan``.

        noise: standard deviation of the factor of a coordinate.
        """
        self.poses = cameras.world_from_camera
        self.noise = noise
        self.generator = torch.Generator().manual_seed(seed)
        height, width = plan.size
        v, u = torch.meshgrid(
            torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij"
        )
        image = torch.arange(len(cameras))[:, None, None]
        waves = 0.6 * torch.sin(5 * u + image) + 0.5 * torch.cos(7 * v + 2 * image)
        self.depth: Float[Tensor, "N h w"] = 1.5 + u + waves
        intrinsics = plan.intrinsics_to_network(cameras.intrinsics)
        grid = pixel_grid(plan.size, 0.5, torch.device("cpu"))
        focals = torch.stack((intrinsics[:, 0, 0], intrinsics[:, 1, 1]), dim=-1)
        self.points = unproject(self.depth, grid, focals, intrinsics[:, :2, 2])

    def __call__(
        self, images: Float[Tensor, "N 3 h w"], edges: tuple[Edge, ...]
    ) -> PairPredictions:
        """Pointmaps of the pairs; the images count by their order alone."""
        first, second = [], []
        for i, j in edges:
            scale = float(self._uniform((), *SCALES))
            first_from_second = inverse_pose(self.poses[i]) @ self.poses[j]
            first.append(scale * self._noisy(self.points[i]))
            second.append(scale * self._noisy(transform(first_from_second, self.points[j])))
        shape = (len(edges), *self.depth.shape[1:])
        return PairPredictions(
            edges=edges,
            first_points=torch.stack(first),
            first_confidence=self._uniform(shape, *CONFIDENCES),
            second_points=torch.stack(second),
            second_confidence=self._uniform(shape, *CONFIDENCES),
        )

    def _noisy(self, points: Tensor) -> Tensor:
        return points * (1 + self.noise * torch.randn(points.shape, generator=self.generator))

    def _uniform(self, shape: tuple[int, ...], low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=self.generator)
