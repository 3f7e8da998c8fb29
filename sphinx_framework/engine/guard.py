"""The evidence guard: which refined frames are served, and which as rendered."""

import torch
from torch import Tensor

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
    request: Request, painted: dict[int, Tensor], coarse: CoarseViews, *, full: bool = False
) -> dict[int, Tensor]:
    """The refined targets that may be served; others lost what the inputs prove.

    What was found is booked in the request; the baselines, and a request that is full
    diffusion, are measured, and served as they are.
    """
    indices = list(painted)
    images, shares = _surviving(request, painted, coarse)
    guards = _guards(request, full)
    losses = probable_losses(request, images, indices, coarse) if guards else [None] * len(indices)
    for index, share, lost in zip(indices, shares, losses, strict=True):
        request.evidence[index] = share
        if lost is not None:
            request.lost[index] = lost
        reason = reason_to_withhold(share, lost, request.config.evidence) if guards else None
        if reason is None:
            request.withheld.pop(index, None)
        else:
            request.withheld[index] = reason
    return {index: image for index, image in painted.items() if index not in request.withheld}


@torch.no_grad()
def guarded_finish(
    request: Request, finished: dict[int, Tensor], coarse: CoarseViews, *, full: bool = False
) -> dict[int, Tensor]:
    """Those of the finished frames that may be served: finishing, too, must keep what is proven.

    Only the share that survived is looked at: what a frame probably lost is learned of painted
    ones. Frames that finishing left as they were painted are not judged twice.
    """
    if not (finished and request.config.composite.finish and _guards(request, full)):
        return finished
    _, shares = _surviving(request, finished, coarse)
    for index, share in zip(finished, shares, strict=True):
        request.evidence[index] = min(share, request.evidence[index])
        reason = reason_to_withhold(share, None, request.config.evidence, by="finishing")
        if reason is not None:
            request.withheld[index] = reason
    return {index: image for index, image in finished.items() if index not in request.withheld}


def _guards(request: Request, full: bool) -> bool:
    return request.config.evidence.guard and request.mode in METHOD_MODES and not full


def _surviving(
    request: Request, frames: dict[int, Tensor], coarse: CoarseViews
) -> tuple[Tensor, list[float]]:
    """The frames in one tensor, and the share of what is proven that each of them kept."""
    indices = list(frames)
    opacity = None if coarse.opacity is None else coarse.opacity[indices]
    images, renders = torch.stack(list(frames.values())), coarse.images[indices]
    tolerance = request.config.evidence.tolerance
    return images, surviving_evidence(images, renders, opacity, tolerance).tolist()
