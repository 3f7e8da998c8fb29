"""Seconds, peak memory and achieved rates of calls on a device."""

from collections.abc import Callable
from typing import Any

import torch

from sphinx_framework.executors.stopwatch import Stopwatch

WARM_UP, TURNS = 1, 3


@torch.no_grad()
def timed(call: Callable[[], Any], device: torch.device) -> tuple[float, int | None]:
    """Least seconds of a few turns after a warm-up, and peak bytes on the device."""
    for _ in range(WARM_UP):
        call()
    reset_peak(device)
    times = []
    for _ in range(TURNS):
        watch = Stopwatch(device)
        with watch.running():
            call()
        times.append(watch.seconds)
    return min(times), peak_bytes(device)


def reset_peak(device: torch.device) -> None:
    """Forget earlier peaks."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: torch.device) -> int | None:
    """Most bytes of tensors at once; ``None`` where nobody counts them."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def product_rate(device: torch.device, side: int) -> float:
    """Operations a second of one large product in bfloat16: what a step's rate is compared with."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 / timed(lambda: a @ b, device)[0]


def copy_rate(device: torch.device, count: int) -> float:
    """Bytes a second that a large copy reads and writes."""
    a = torch.zeros(count, device=device)
    b = torch.empty_like(a)
    return 8 * count / timed(lambda: b.copy_(a), device)[0]
