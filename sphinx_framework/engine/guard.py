"""The evidence guard: which refined frames are served, and which as rendered."""

import torch
from torch import Tensor

from sphinx_framework.engine.events import Served
from sphinx_framework.engine.request_state import Request
from sphinx_framework.policy.evidence import reason_to_withhold, surviving_evidence
from sphinx_framework.policy.schedule import METHOD_MODES
from sphinx_framework.protocols import LossEstimator
from sphinx_framework.types import CoarseViews


def probable_losses(
    request: Request, images: Tensor, indices: list[int], coarse: CoarseViews
) -> list[float] | list[None]:
    """What every frame probably lost, in dB, where the quality component can tell."""
    estimator = request.components.quality
    if not isinstance(estimator, LossEstimator):
        return [None] * len(indices)
    evidence = request.known(coarse)
    if len(indices) < len(coarse.images):
        evidence = evidence.rows(indices)
    # A frame that holds no numbers is told by the share that survived.
    with request.timing("quality"):
        lost: list[float] = estimator.lost(images.nan_to_num().clamp(0, 1), evidence).tolist()
    return lost


@torch.no_grad()
def guarded(
    request: Request, refined: dict[int, Tensor], coarse: CoarseViews, *, full: bool = False
) -> list[tuple[int, Tensor, Served]]:
    """Refined targets, or their render where refinement lost what the inputs prove.

    What was found is booked in the request; the baselines, and a request that is full
    diffusion, are measured, and served as they are.
    """
    indices = list(refined)
    opacity = None if coarse.opacity is None else coarse.opacity[indices]
    limits = request.config.evidence
    images = torch.stack([refined[index] for index in indices])
    shares = surviving_evidence(images, coarse.images[indices], opacity, limits.tolerance)
    guards = limits.guard and request.mode in METHOD_MODES and not full
    losses = probable_losses(request, images, indices, coarse) if guards else [None] * len(indices)
    served: list[tuple[int, Tensor, Served]] = []
    for index, share, lost in zip(indices, shares.tolist(), losses, strict=True):
        request.evidence[index] = share
        if lost is not None:
            request.lost[index] = lost
        reason = reason_to_withhold(share, lost, limits) if guards else None
        if reason is not None:
            request.withheld[index] = reason
            served.append((index, coarse.images[index], "regression"))
        else:
            request.withheld.pop(index, None)
            served.append((index, refined[index], "refined"))
    return served
