"""The evidence guard: which refined frames are served, and which as rendered."""

import torch
from torch import Tensor

from sphinx_framework.engine.events import Served
from sphinx_framework.engine.request_state import Request
from sphinx_framework.policy.evidence import surviving_evidence
from sphinx_framework.policy.schedule import METHOD_MODES
from sphinx_framework.types import CoarseViews


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
    served: list[tuple[int, Tensor, Served]] = []
    for index, share in zip(indices, shares.tolist(), strict=True):
        request.evidence[index] = share
        if guards and share < limits.least:
            request.withheld.add(index)
            served.append((index, coarse.images[index], "regression"))
        else:
            request.withheld.discard(index)
            served.append((index, refined[index], "refined"))
    return served
