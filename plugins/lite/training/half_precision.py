"""bfloat16 where a device computes in it, else float32: imitating it takes 20 times as long."""

import torch

from sphinx_framework.engine.slow_precision import computes_in


def half_precision(device: torch.device | str = "cpu") -> torch.autocast:
    """A context of automatic bfloat16; without effect on a processor that has no such arithmetic.

    device: where the operators inside run.
    """
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu" or computes_in("bfloat16"))
