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
    warnings: tuple[str, ...] = ()
    focals = known.focals
    if focals is None:
        focals, warnings = image_focals(
            pairs.first_points[own], objective.grid, centres, config.focal_range
        )
    matrices = intrinsic_matrices(focals, centres)
    to_world, unscaled = _pairs_to_world(objective, poses, matrices, config)
    depths = pairs.first_points[own][..., 2] * to_world.scale[own][:, None, None]
    state = AlignmentState(
        edges=encode_edges(to_world),
        poses=encode_poses(poses),
        focals=encode_focals(focals[:, 0]),
        depths=encode_depths(depths),
        principal_points=(centres - objective.image_centres) / PRINCIPAL_POINT_CODE,
    )
    return state, (*warnings, *unscaled)


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
    """Similarity of every pair's frame to the world.

    A pair's frame is its first camera, whose pose is known; its scale is the known distance of
    the two cameras over that which PnP finds in the pair.
    """
    second = _second_cameras(objective, matrices, config)
    world = poses[objective.first], poses[objective.second]
    if config.upstream_start:
        source = torch.stack((torch.eye(4).to(second).expand_as(second), second), dim=1)
        return align_poses(source, torch.stack(world, dim=1)), ()
    baseline = torch.linalg.vector_norm(world[1][:, :3, 3] - world[0][:, :3, 3], dim=-1)
    scale = baseline / torch.linalg.vector_norm(second[:, :3, 3], dim=-1)
    scale, warnings = _filled(scale)
    return Similarity(scale, world[0][:, :3, :3], world[0][:, :3, 3]), warnings


def _second_cameras(
    objective: Objective, matrices: Float[Tensor, "N 3 3"], config: AlignmentConfig
) -> Float[Tensor, "E 4 4"]:
    """Pose of every pair's second camera in the pair's frame; the identity where PnP fails."""
    pairs = objective.pairs
    # Upstream masks by confidence > min(3, smallest confidence - 0.1), which every pixel passes.
    everywhere = torch.ones(pairs.image_size, dtype=torch.bool, device=matrices.device)
    cameras = []
    for points, (i, j) in zip(pairs.second_points, pairs.edges, strict=True):
        camera = matrices[i if config.upstream_start else j]
        pose = pose_from_points(
            points,
            objective.grid,
            everywhere,
            camera,
            iterations=PNP_ITERATIONS,
            refine=config.refine_poses,
        )
        cameras.append(torch.eye(4).to(points) if pose is None else pose)
    return torch.stack(cameras)


def _filled(scale: Float[Tensor, " E"]) -> tuple[Float[Tensor, " E"], tuple[str, ...]]:
    """Replace scales that are not positive and finite by the geometric mean of the others."""
    usable = torch.isfinite(scale) & (scale > 0)
    if bool(usable.all()):
        return scale, ()
    if not bool(usable.any()):
        warning = "the unit of length could not be found from the known poses; depths are arbitrary"
        return torch.ones_like(scale), (warning,)
    mean = scale[usable].log().mean().exp()
    warning = f"the scale of {int((~usable).sum())} of {len(scale)} pairs is that of the others"
    return torch.where(usable, scale, mean), (warning,)
