from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sphinx_framework.testing.goldens import Golden
from sphinx_framework_dust3r.config import DUSt3RConfig, NetworkConfig
from sphinx_framework_dust3r.geometry.pinhole import (
    inverse_pose,
    pixel_grid,
    transform,
    unproject,
)
from sphinx_framework_dust3r.images import Preparation
from sphinx_framework_dust3r.pairs import Edge, PairPredictions

ReadPairs = Callable[[Golden], PairPredictions]


class MadeUpPointmaps:
    """Stands in for the network: true cameras, wavy depths, a random scale per pair, noise."""

    def __init__(
        self, poses: Tensor, intrinsics: Tensor, plan: Preparation, noise: float = 0.0
    ) -> None:
        self.poses, self.noise = poses, noise
        self.generator = torch.Generator().manual_seed(0)
        height, width = plan.size
        v, u = torch.meshgrid(
            torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij"
        )
        waves = [
            0.6 * torch.sin(5 * u + i) + 0.5 * torch.cos(7 * v + 2 * i) for i in range(len(poses))
        ]
        self.depth = 1.5 + u + torch.stack(waves)
        matrix = plan.intrinsics_to_network(intrinsics)
        focals = matrix.diagonal()[:2].expand(len(poses), 2)
        grid = pixel_grid(plan.size, 0.5, torch.device("cpu"))
        self.points = unproject(self.depth, grid, focals, matrix[:2, 2].expand(len(poses), 2))

    def __call__(self, images: Tensor, edges: tuple[Edge, ...]) -> PairPredictions:
        assert images.shape[-2:] == self.depth.shape[-2:]
        first, second = [], []
        for i, j in edges:
            scale = float(torch.empty(1).uniform_(0.5, 2, generator=self.generator))
            j_to_i = inverse_pose(self.poses[i]) @ self.poses[j]
            first.append(self.noisy(self.points[i]) * scale)
            second.append(self.noisy(transform(j_to_i, self.points[j])) * scale)
        shape = (len(edges), *self.depth.shape[1:])
        return PairPredictions(
            edges=edges,
            first_points=torch.stack(first),
            first_confidence=1 + 9 * torch.rand(shape, generator=self.generator),
            second_points=torch.stack(second),
            second_confidence=1 + 9 * torch.rand(shape, generator=self.generator),
        )

    def noisy(self, points: Tensor) -> Tensor:
        return points * (1 + self.noise * torch.randn(points.shape, generator=self.generator))


@pytest.fixture(scope="session")
def made_up_pointmaps() -> type[MadeUpPointmaps]:
    """Pointmaps of known cameras in place of the network's."""
    return MadeUpPointmaps


@pytest.fixture(scope="session")
def read_pairs() -> ReadPairs:
    """Reads the pairs of a golden file of the geometry."""

    def read(file: Golden) -> PairPredictions:
        tensors = file.tensors
        return PairPredictions(
            edges=tuple((i, j) for i, j in tensors["in/edges"].tolist()),
            first_points=tensors["in/pred1_pts3d"],
            first_confidence=tensors["in/pred1_conf"],
            second_points=tensors["in/pred2_pts3d_in_other_view"],
            second_confidence=tensors["in/pred2_conf"],
        )

    return read


@pytest.fixture(scope="session")
def tiny_config() -> DUSt3RConfig:
    """A random network small enough for a test, on photos of 64 pixels."""
    sizes = NetworkConfig(
        head="dpt",
        encoder_width=16,
        encoder_depth=1,
        encoder_heads=2,
        decoder_width=8,
        decoder_depth=4,
        decoder_heads=2,
        dpt_features=4,
        dpt_last=4,
        dpt_channels=(4, 4, 4, 4),
    )
    return DUSt3RConfig(weights="random", network=sizes, image_size=64)
