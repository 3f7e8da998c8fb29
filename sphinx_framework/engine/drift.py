"""Refresh by measured drift: how far cached features have moved since they were recorded.

Partial steps write what they compute of active rows over the cache. So what these rows were when
all was recorded, against what they are now, tells how old the rest of the cache has become: frames
that are not active would have moved about as far. It is measured on the few attentions with the
fewest tokens, whose recorded keys and values are kept.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.policy.drift import Pace
from sphinx_framework.policy.schedule import Full, Partial

SITES = 4


@dataclass(slots=True)
class DriftWatch:
    """Says after every step whether the next one has to record the cache anew.

    limit: share of their size that features may move by. recorded: of the last recording, kept.
    """

    limit: float
    recorded: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0

    @torch.no_grad()
    def due(self, cache: LatentCache, action: Full | Partial) -> bool:
        """Whether the features will have moved too far at the next step.

        Waits for the device after a partial step, once.
        """
        if isinstance(action, Full):
            names = cache.smallest(SITES) if action.record else []
            self.recorded = {slot: cache.get(slot).clone() for slot in names}
            self.step = action.step
            return False
        moved = [moved_share(cache.get(slot), then) for slot, then in self.recorded.items()]
        if not moved:
            return False
        pace = Pace.seen(float(torch.stack(moved).mean()), action.step - self.step)
        return not pace.lasts(action.next_step - self.step, self.limit)


def moved_share(now: Tensor, then: Tensor) -> Tensor:
    """Norm of the change over the norm of what was, of the tokens that were written since."""
    change, size = now.float() - then.float(), then.float()
    written = (change != 0).any(-1, keepdim=True)
    whole = (size.square() * written).sum()
    return (change.square().sum() / whole.clamp(min=1e-12)).sqrt()


def refreshing(action: Full | Partial) -> Full:
    """The same move by a full pass that records."""
    if isinstance(action, Full):
        return replace(action, record=True)
    return Full(
        step=action.step,
        next_step=action.next_step,
        frames=action.frames,
        ends=action.ends,
        record=True,
    )
