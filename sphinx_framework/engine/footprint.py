"""How many bytes a request's latent cache will take, known before anything is computed."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.passes import full_pass
from sphinx_framework.policy.schedule import Partial, Schedule
from sphinx_framework.protocols import DiffusionModel


def predicted_cache_bytes(
    model: DiffusionModel[Any],
    clean: Float[Tensor, "T C h w"],
    condition: Any,
    schedule: Schedule,
) -> int:
    """Bytes that a recorded full pass of this clip leaves in the cache.

    One pass over shapes only: nothing is computed and nothing is allocated.
    """
    sparse = any(isinstance(a, Partial) and a.sparse for a in schedule.actions)
    first = schedule.actions[0].step
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
        cache = LatentCache()
        x = torch.empty(clean.shape, dtype=clean.dtype, device=clean.device)
        full_pass(model, x, first, condition, cache=cache, tiles=sparse).answer()
        return cache.bytes_peak
