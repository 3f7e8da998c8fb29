"""Start of the alignment with unknown poses: a tree of the most confident pairs.

The best pair sets the world; every further pair of the tree is attached by the similarity between
its pointmap of an image that is placed already and that image's placed points.
"""

from collections import deque

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework_dust3r.alignment.objective import Objective
from sphinx_framework_dust3r.alignment.state import (
    BASE_SCALE,
    PRINCIPAL_POINT_CODE,
    AlignmentState,
    encode_depths,
    encode_edges,
    encode_focals,
    encode_poses,
)
from sphinx_framework_dust3r.config import AlignmentConfig
from sphinx_framework_dust3r.geometry.focal import image_focals
from sphinx_framework_dust3r.geometry.pinhole import (
    intrinsic_matrices,
    inverse_pose,
    rigid,
    transform,
)
from sphinx_framework_dust3r.geometry.pnp import pose_from_points
from sphinx_framework_dust3r.geometry.similarity import weighted_similarity
from sphinx_framework_dust3r.pairs import PairPredictions
from sphinx_framework_dust3r.reconstruction import KnownCameras

PNP_ITERATIONS = 10


def start_from_tree(
    objective: Objective, config: AlignmentConfig, known: KnownCameras
) -> tuple[AlignmentState, tuple[str, ...]]:
    """Variables to start from, and warnings about images whose pose could not be found."""
    pairs = objective.pairs
    walk, placed, tree_poses = _attach(pairs, maximum_spanning_tree(pairs))
    points = torch.stack([placed[image] for image in range(pairs.num_images)])
    centres = known.centres(objective.image_centres)
    warnings: tuple[str, ...] = ()
    focals = known.focals
    if focals is None:
        own = pairs.first_points[_own_pairs(pairs, walk, config)]
        focals, warnings = image_focals(own, objective.grid, centres, config.focal_range)
    poses, lost = _poses(objective, points, tree_poses, (focals, centres), config)
    to_world = weighted_similarity(
        pairs.first_points.flatten(1, 2),
        points[objective.first].flatten(1, 2),
        pairs.first_confidence.flatten(1),
    )
    unit = BASE_SCALE / to_world.scale.log().mean().exp()
    points = points * unit
    poses = rigid(poses[:, :3, :3], poses[:, :3, 3] * unit)
    state = AlignmentState(
        edges=encode_edges(to_world),
        poses=encode_poses(poses),
        focals=encode_focals(focals[:, 0]),
        depths=encode_depths(transform(inverse_pose(poses), points)[..., 2]),
        principal_points=(centres - objective.image_centres) / PRINCIPAL_POINT_CODE,
    )
    return state, (*warnings, *lost)


def maximum_spanning_tree(pairs: PairPredictions) -> list[int]:
    """Rows of the pairs of the best tree that connects all images, best first (Kruskal).

    Of the two orders of a pair the better one counts.
    """
    tree_of = list(range(pairs.num_images))
    chosen = []
    for row in _best_first(pairs):
        i, j = (tree_of[image] for image in pairs.edges[row])
        if i != j:
            chosen.append(row)
            tree_of = [i if tree == j else tree for tree in tree_of]
    return chosen


def _best_first(pairs: PairPredictions) -> list[int]:
    order: list[int] = pairs.scores.argsort(descending=True, stable=True).tolist()
    return order


def _attach(
    pairs: PairPredictions, tree: list[int]
) -> tuple[list[int], dict[int, Tensor], dict[int, Tensor]]:
    """Walk the tree: rows in the order visited, world points and camera poses by image."""
    visited: list[int] = []
    points: dict[int, Tensor] = {}
    poses: dict[int, Tensor] = {}
    queue = deque(tree)
    while queue:
        row = queue.popleft()
        visited.append(row)
        i, j = pairs.edges[row]
        first, second = pairs.first_points[row], pairs.second_points[row]
        if not points:
            points |= {i: first, j: second}
            poses[i] = torch.eye(4).to(first)
            continue
        if i not in points and j not in points:
            queue.append(row)
            continue
        if i in points:
            source, target, weights = first, points[i], pairs.first_confidence[row]
        else:
            source, target, weights = second, points[j], pairs.second_confidence[row]
        to_world = weighted_similarity(
            source.flatten(0, 1), target.flatten(0, 1), weights.flatten()
        )
        points.setdefault(i, to_world.apply(first))
        points.setdefault(j, to_world.apply(second))
        poses.setdefault(i, to_world.pose)
    return visited, points, poses


def _own_pairs(pairs: PairPredictions, walk: list[int], config: AlignmentConfig) -> list[int]:
    """Row of the pair whose first pointmap tells an image's focal length: its tree pair or best."""
    source: dict[int, int] = {}
    for row, before in zip(walk, [walk[0], *walk], strict=False):
        source.setdefault(pairs.edges[row][0], before if config.upstream_start else row)
    for row in _best_first(pairs):
        source.setdefault(pairs.edges[row][0], row)
    return [source[image] for image in range(pairs.num_images)]


def _poses(
    objective: Objective,
    points: Float[Tensor, "N H W 3"],
    found: dict[int, Tensor],
    intrinsics: tuple[Float[Tensor, "N 2"], Float[Tensor, "N 2"]],
    config: AlignmentConfig,
) -> tuple[Float[Tensor, "N 4 4"], tuple[str, ...]]:
    """Poses from the tree, the missing ones by PnP on the placed points."""
    confidence = objective.pairs.image_confidence()
    matrices = intrinsic_matrices(*intrinsics)
    poses, warnings = [], []
    for image in range(len(points)):
        pose = found.get(image)
        if pose is None:
            pose = pose_from_points(
                points[image],
                objective.grid,
                confidence[image] > config.min_confidence,
                matrices[image],
                iterations=PNP_ITERATIONS,
                refine=config.refine_poses,
            )
        if pose is None:
            pose = torch.eye(4).to(points)
            warnings.append(f"no start pose was found for photo {image}; it starts at the origin")
        poses.append(pose)
    return torch.stack(poses), tuple(warnings)
