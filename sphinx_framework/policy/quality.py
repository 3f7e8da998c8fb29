"""The quality ratio: coarse scores against the inputs' interpolated score (paper eq. 2)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.types import Bracket, QualityReport

SMALLEST_REFERENCE = 1e-6


def reference_score(first: float, last: float, position: float, gamma: float) -> float:
    """Power interpolation of two input scores (paper eq. 2).

    Rising scores follow ``position**gamma``, falling ones the mirrored curve, so that with
    ``gamma < 1`` the reference stays near the better input.
    """
    if last >= first:
        return first + (last - first) * position**gamma
    return first + (last - first) * (1 - (1 - position) ** gamma)


def quality_report(
    score: Float[Tensor, " T"],
    input_score: Float[Tensor, " N"],
    brackets: Sequence[Bracket],
    gamma: float,
) -> QualityReport:
    """Ratio of every coarse score to its reference, at the targets' true positions.

    The ratio needs scores on a positive scale; references are floored at a tiny positive number.
    """
    input_score = input_score.detach().float().cpu()  # one wait for the device
    inputs = input_score.tolist()
    reference = torch.tensor(
        [reference_score(inputs[b.left], inputs[b.right], b.position, gamma) for b in brackets],
        dtype=torch.float32,
    ).clamp(min=SMALLEST_REFERENCE)
    score = score.detach().float().cpu()
    return QualityReport(
        score=score,
        reference=reference,
        ratio=score / reference,
        input_score=input_score,
    )
