"""Classifier-free guidance with the rescale that keeps the conditional prediction's deviation.

The rescale is the one place of the sampler that mixes
frames: the deviations are those of the whole clip. Here they come from the executor's clip-wide
norm, so a frame-subset step updates the per-frame sums of the active frames only, exactly like
every other clip-wide norm, and a block-sparse step uses the sums of the last full pass.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework.nn import GroupNorm
from sphinx_framework.protocols import Executor

EPS = 1e-12


class Guidance(nn.Module):
    """``v = v_u + g (v_c - v_u)``, pulled towards the deviation of ``v_c`` by ``rescale``."""

    def __init__(self, strength: float, rescale: float, channels: int) -> None:
        super().__init__()
        self.strength = strength
        self.rescale = rescale
        self.conditional = _clip_norm("guidance.conditional", channels)
        self.guided = _clip_norm("guidance.guided", channels)

    def forward(
        self,
        unconditional: Float[Tensor, "R C a b"],
        conditional: Float[Tensor, "R C a b"],
        ops: Executor,
    ) -> Float[Tensor, "R C a b"]:
        """Combine the two branches' predictions of the held rows, float32."""
        guided = unconditional + self.strength * (conditional - unconditional)
        if self.rescale == 0:
            return guided
        target = clip_deviation(self.conditional, conditional, ops)
        ratio = target / clip_deviation(self.guided, guided, ops)
        return guided * (self.rescale * ratio + 1 - self.rescale)


def clip_deviation(
    norm: GroupNorm, x: Float[Tensor, "R C a b"], ops: Executor
) -> Float[Tensor, ""]:
    """Standard deviation of the whole clip, seen from the held rows.

    The clip-wide norm maps every number of the clip by the same line, whose slope is one over the
    deviation: the held numbers' spread before and after gives it, whatever rows are held.
    """
    before, after = x.std(), norm(x, ops).std()
    # A constant prediction has no spread to match.
    return torch.where(after > 0, before / after.clamp(min=EPS), 1.0)


def _clip_norm(site: str, channels: int) -> GroupNorm:
    norm = GroupNorm(1, channels, eps=EPS)
    norm.reach = "frames"
    norm.site = site
    return norm
