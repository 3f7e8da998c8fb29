"""Start of the alignment with known poses: each pair's frame and scale from its two cameras."""

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework_dust3r.alignment.objective import Objective
from sphinx_framework_dust3r.alignment.state import (
    PRINCIPAL_POINT_CODE,
    AlignmentState,
    encode_depths,
    encode_edges,
    encode_focals,
    encode_poses,
)
from sphinx_framework_dust3r.config import AlignmentConfig
from sphinx_framework_dust3r.geometry.focal import image_focals
from sphinx_framework_dust3r.geometry.pinhole import intrinsic_matrices
from sphinx_framework_dust3r.geometry.pnp import pose_from_points
from sphinx_framework_dust3r.geometry.similarity import Similarity, align_poses
from sphinx_framework_dust3r.pairs import PairPredictions
from sphinx_framework_dust3r.reconstruction import KnownCameras

PNP_ITERATIONS = 10


def start_from_poses(
    objective: Objective,
    poses: Float[Tensor, "N 4 4"],
    config: AlignmentConfig,
    known: KnownCameras,
) -> tuple[AlignmentState, tuple[str, ...]]:
    """Variables to start from, and a warning where the unit of length could not be found.

    Depths come from the most confident pointmap of each image in its own frame, in the unit of
    the known poses.
    """
    pairs = objective.pairs
    own = _own_pairs(pairs)
    centres = known.centres(objective.image_centres)
    focals = known.focals
    if focals is None:
        focals = image_focals(pairs.first_points[own], objective.grid, centres, config.focal_range)
    matrices = intrinsic_matrices(focals, centres)
    to_world, warnings = _pairs_to_world(objective, poses, matrices, config)
    depths = pairs.first_points[own][..., 2] * to_world.scale[own][:, None, None]
    state = AlignmentState(
        edges=encode_edges(to_world),
        poses=encode_poses(poses),
        focals=encode_focals(focals[:, 0]),
        depths=encode_depths(depths),
        principal_points=(centres - objective.image_centres) / PRINCIPAL_POINT_CODE,
    )
    return state, warnings


def _own_pairs(pairs: PairPredictions) -> list[int]:
    """Row of the pair that sees each image first with the highest mean confidence."""
    confidence = pairs.first_confidence.mean((1, 2))
    rows: dict[int, int] = {}
    for row in confidence.argsort(descending=True, stable=True).tolist():
        rows.setdefault(pairs.edges[row][0], row)
    return [rows[image] for image in range(pairs.num_images)]


def _pairs_to_world(
    objective: Objective,
    poses: Float[Tensor, "N 4 4"],
    matrices: Float[Tensor, "N 3 3"],
    config: AlignmentConfig,
) -> tuple[Similarity, tuple[str, ...]]:
    """Similarity of every pair's frame to the world, from where PnP sees its second camera."""
    pairs = objective.pairs
    second_cameras = []
    everywhere = torch.ones(pairs.image_size, dtype=torch.bool, device=poses.device)
    for row, (i, j) in enumerate(pairs.edges):
        pose = pose_from_points(
            pairs.second_points[row],
            objective.grid,
            everywhere,
            matrices[i if config.upstream_slips else j],
            iterations=PNP_ITERATIONS,
        )
        assert pose is not None
        second_cameras.append(pose)
    second = torch.stack(second_cameras)
    if MODE == "spec":
        source = torch.stack((torch.eye(4).to(second).expand_as(second), second), dim=1)
        target = torch.stack((poses[objective.first], poses[objective.second]), dim=1)
        return align_poses(source, target), ()
    base = torch.linalg.vector_norm(
        poses[objective.second][:, :3, 3] - poses[objective.first][:, :3, 3], dim=-1
    )
    return Similarity(
        base / torch.linalg.vector_norm(second[:, :3, 3], dim=-1),
        poses[objective.first][:, :3, :3],
        poses[objective.first][:, :3, 3],
    ), ()


MODE = "spec"
