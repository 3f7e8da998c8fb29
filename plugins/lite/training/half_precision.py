"""bfloat16 where a device computes in it, else float32: imitating it takes 20 times as long."""

import torch

from sphinx_framework.engine.slow_precision import NATIVE


def half_precision(device: torch.device | str = "cpu") -> torch.autocast:
    """A context of automatic bfloat16; without effect on a processor that has no such arithmetic.

    device: where the operators inside run.
    """
    kind = torch.device(device).type
    able = torch.cpu.get_capabilities()
    native = kind != "cpu" or any(able.get(name) for name in NATIVE["bfloat16"])
    return torch.autocast(kind, torch.bfloat16, enabled=native)
