"""Evidence guard: what the inputs prove must survive refinement (pure functions on images).

Where the regression stage is certain, its render is evidence. Refinement may change detail there,
not the colours of whole cells: a refined frame that does was replaced by another picture.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.policy.evidence_config import EvidenceConfig

CELLS = 12
LEAST_WEIGHT = 1e-3


def surviving_evidence(
    refined: Float[Tensor, "T 3 H W"],
    render: Float[Tensor, "T 3 H W"],
    opacity: Float[Tensor, "T H W"] | None,
    tolerance: float,
) -> Float[Tensor, " T"]:
    """Share of the certain picture whose low frequencies the refined frame kept, in [0, 1].

    Both frames are averaged over 12 x 12 cells, weighted by the opacity (1 = certain; without one
    every pixel counts). A cell survived when no channel's mean moved by more than ``tolerance``.
    1 where nothing is certain: there is nothing to lose. 0 for a frame that is not finite.
    """
    weight = torch.ones_like(render[:, :1]) if opacity is None else opacity[:, None]
    height, width = render.shape[-2:]
    size = (min(CELLS, height), min(CELLS, width))
    cells = functional.adaptive_avg_pool2d(weight, size)

    def means(images: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(images * weight, size) / cells.clamp(LEAST_WEIGHT)

    finite = torch.isfinite(refined).flatten(1).all(1)
    moved = (means(refined.nan_to_num()) - means(render)).abs().amax(1, keepdim=True)
    kept = (cells * (moved <= tolerance)).sum((1, 2, 3))
    whole = cells.sum((1, 2, 3))
    share = torch.where(whole > LEAST_WEIGHT * cells[0].numel(), kept / whole.clamp(1e-9), 1.0)
    return share * finite


def reason_to_withhold(
    share: float, lost: float | None, limits: EvidenceConfig, *, by: str = "refinement"
) -> str | None:
    """Why a refined frame is not served, in words; None where it is.

    share: of what the inputs prove, what it kept. lost: dB that it probably lost against its
    render, where known. by: what it was that changed the frame. The numbers are rounded away from
    the limits, so that none of them looks as if it were within.
    """
    found = []
    if share < limits.least:
        found.append(
            f"{by} kept {math.floor(100 * share)} % of what the inputs prove, less than "
            f"{100 * limits.least:g} %"
        )
    if lost is not None and lost > limits.most_lost:
        found.append(
            f"{by} probably lost {math.ceil(100 * lost) / 100:.2f} dB against the render, "
            f"more than {limits.most_lost:g} dB"
        )
    return "; ".join(found) or None


def unproven(opacity: Float[Tensor, "T H W"] | None, min_opacity: float) -> tuple[int, ...]:
    """Targets of which too little is proven for refinement to help."""
    if opacity is None or min_opacity == 0:
        return ()
    means = opacity.mean((1, 2)).tolist()
    return tuple(index for index, mean in enumerate(means) if mean < min_opacity)
