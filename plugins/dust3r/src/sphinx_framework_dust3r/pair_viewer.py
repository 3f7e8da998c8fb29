"""Closed-form reconstruction of one or two photos."""

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework_dust3r.config import AlignmentConfig
from sphinx_framework_dust3r.geometry.focal import image_focals
from sphinx_framework_dust3r.geometry.pinhole import (
    intrinsic_matrices,
    inverse_pose,
    pixel_grid,
    transform,
)
from sphinx_framework_dust3r.geometry.pnp import pose_from_points
from sphinx_framework_dust3r.pairs import PairPredictions
from sphinx_framework_dust3r.reconstruction import (
    KnownCameras,
    Reconstruction,
    assemble,
    half_image,
)

PNP_ITERATIONS = 100


def single_view(
    pairs: PairPredictions, config: AlignmentConfig, known: KnownCameras
) -> Reconstruction:
    """One photo, paired with itself: its own pointmap, at a known pose or at the origin."""
    points = pairs.first_points[:1]
    focals, centres, warnings = _intrinsics(pairs, [0], config, known)
    return assemble(
        torch.eye(4).to(points)[None] if known.poses is None else known.poses,
        focals,
        centres,
        points[..., 2],
        pairs.image_confidence(),
        config.pixel_centre,
        warnings,
    )


def pair_viewer(
    pairs: PairPredictions, config: AlignmentConfig, known: KnownCameras
) -> Reconstruction:
    """Two photos: the world is the camera frame of the more confident ordered pair.

    Focal lengths come from each image's own pointmap, the other camera's pose from PnP on the
    points that the pair gives it. A pose that cannot be found is the identity, with a warning.

    Raises:
        SceneError: the pairs are not the two orders of two images.
    """
    if sorted(pairs.edges) != [(0, 1), (1, 0)]:
        raise SceneError(
            f"the two-photo solution needs the pairs (0, 1) and (1, 0), got {pairs.edges}.",
            hint="Set alignment.solver to 'auto' for another number of photos.",
        )
    own = [pairs.edges.index((0, 1)), pairs.edges.index((1, 0))]
    confidence = pairs.image_confidence()
    focals, centres, warnings = _intrinsics(pairs, own, config, known)
    base = 0 if bool(pairs.scores[own[0]] > pairs.scores[own[1]]) else 1
    other = 1 - base
    grid = pixel_grid(pairs.image_size, config.pixel_centre, confidence.device)
    found = pose_from_points(
        pairs.second_points[own[base]],
        grid,
        confidence[other] > config.min_confidence,
        intrinsic_matrices(focals, centres)[other],
        iterations=PNP_ITERATIONS,
        refine=config.refine_poses,
    )
    identity = torch.eye(4).to(confidence)
    poses, depth = [identity, identity], [confidence[0], confidence[1]]
    if found is None:
        warnings = (*warnings, _lost(other, confidence[other], config))
    else:
        poses[other] = found
    depth[base] = pairs.first_points[own[base]][..., 2]
    depth[other] = transform(inverse_pose(poses[other]), pairs.second_points[own[base]])[..., 2]
    return assemble(
        torch.stack(poses),
        focals,
        centres,
        torch.stack(depth),
        confidence,
        config.pixel_centre,
        warnings,
    )


def _intrinsics(
    pairs: PairPredictions, own: list[int], config: AlignmentConfig, known: KnownCameras
) -> tuple[Float[Tensor, "N 2"], Float[Tensor, "N 2"], tuple[str, ...]]:
    """Focal lengths, known or those of the images' own pointmaps (rows ``own``), and centres.

    Warnings come third.
    """
    centres = known.centres(half_image(len(own), pairs.image_size, pairs.first_points))
    if known.focals is not None:
        return known.focals, centres, ()
    grid = pixel_grid(pairs.image_size, config.pixel_centre, centres.device)
    focals, warnings = image_focals(pairs.first_points[own], grid, centres, config.focal_range)
    return focals, centres, warnings


def _lost(image: int, confidence: Float[Tensor, "H W"], config: AlignmentConfig) -> str:
    share = float((confidence > config.min_confidence).float().mean())
    return (
        f"the pose of photo {image} could not be found ({share:.0%} of its pixels are above "
        f"confidence {config.min_confidence:g}); it is placed at the other photo's camera"
    )
