"""Global alignment from pairs to a reconstruction."""

from dataclasses import replace

import torch

from sphinx_framework.errors import JobError
from sphinx_framework_dust3r.alignment.known_poses import start_from_poses
from sphinx_framework_dust3r.alignment.objective import build_objective
from sphinx_framework_dust3r.alignment.optimiser import optimise
from sphinx_framework_dust3r.alignment.spanning_tree import start_from_tree
from sphinx_framework_dust3r.alignment.state import decode_poses
from sphinx_framework_dust3r.config import AlignmentConfig
from sphinx_framework_dust3r.pairs import PairPredictions
from sphinx_framework_dust3r.reconstruction import KnownCameras, Reconstruction, assemble


@torch.no_grad()
def global_alignment(
    pairs: PairPredictions, config: AlignmentConfig, known: KnownCameras
) -> Reconstruction:
    """Optimise depths, pair frames and whatever is unknown of the cameras.

    With known poses the result is in their world and unit; otherwise world and unit are arbitrary.

    Raises:
        JobError: the optimisation diverged.
    """
    objective = build_objective(pairs, known, config.pixel_centre)
    if known.poses is None:
        start, warnings = start_from_tree(objective, config, known)
    else:
        start, warnings = start_from_poses(objective, known.poses, config, known)
    state, losses = optimise(objective, start, config, fixed=fixed_variables(config, known))
    reconstruction = assemble(
        decode_poses(state.poses) if known.poses is None else known.poses,
        objective.focals(state) if known.focals is None else known.focals,
        objective.principal_points(state),
        objective.depths(state),
        pairs.image_confidence(),
        config.pixel_centre,
        warnings,
    )
    if not bool(torch.isfinite(reconstruction.points).all()):
        raise JobError(
            "the global alignment diverged: its points hold NaN or infinity.",
            hint="Lower alignment.learning_rate, or look for photos that show another place.",
        )
    return replace(reconstruction, losses=tuple(losses))


def fixed_variables(config: AlignmentConfig, known: KnownCameras) -> frozenset[str]:
    """Names of the variables that stay as they start."""
    fixed = {
        "poses": known.poses is not None,
        "focals": known.focals is not None,
        "principal_points": known.principal_points is not None
        or not config.optimise_principal_points,
    }
    return frozenset(name for name, is_fixed in fixed.items() if is_fixed)
