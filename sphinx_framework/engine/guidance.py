"""The difference of guidance's branches: kept from full passes, lent to steps of one branch."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.executors.passes import Call
from sphinx_framework.policy.drift import Pace
from sphinx_framework.policy.guidance import (
    Found,
    GuidanceConfig,
    Guide,
    guide_of_full,
    guide_of_partial,
)
from sphinx_framework.policy.schedule import Full, Partial


@dataclass(slots=True)
class KeptGuidance:
    """The guidance of one clip, from step to step.

    difference: of the branches' outputs, of all frames, as the last full pass of both found it.
    """

    config: GuidanceConfig
    num_steps: int
    difference: Float[Tensor, "T C h w"] | None = None
    found: Found | None = None
    last: Guide = field(default="both")

    def guide(self, action: Full | Partial) -> Guide:
        """What an action runs; a full pass decides for the partial steps after it, too."""
        if isinstance(action, Partial):
            return guide_of_partial(self.config, self.last)
        self.last = guide_of_full(self.config, action.step, self.num_steps, self.found)
        return self.last

    def ask(self, call: Call, guide: Guide) -> None:
        """Tell a call which branches to run, and the difference to take where that is one."""
        call.guided = True
        if guide == "both":
            return
        if guide == "none" or self.difference is None:
            call.kept = torch.zeros_like(call.x)
        else:
            call.kept = call.executor.maps(self.difference)

    def hear(self, call: Call, action: Full | Partial) -> None:
        """Keep what a full pass of both branches found; a limit of change is measured by it."""
        if isinstance(action, Partial) or call.kept is not None or self.config.reuse == 1:
            return
        assert call.difference is not None
        pace = None
        if self.config.change is not None and self.difference is not None:
            assert self.found is not None
            pace = Pace.seen(
                relative_change(self.difference, call.difference), action.step - self.found.step
            )
        self.difference, self.found = call.difference, Found(action.step, pace)


def relative_change(before: Tensor, after: Tensor) -> float:
    """Norm of the change over the norm of what was; waits for the device."""
    wide = before.float()
    return float((after.float() - wide).norm() / wide.norm().clamp(min=1e-12))
