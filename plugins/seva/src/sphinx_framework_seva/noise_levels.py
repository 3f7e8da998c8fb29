"""SEVA's discrete noise levels."""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sphinx_framework.errors import ConfigError

NUM_LEVELS = 1000
LINEAR_START, LINEAR_END = 5e-6, 0.012
LOG_SNR_SHIFT = 2.4


def cumulative_alphas(
    num_levels: int = NUM_LEVELS, start: float = LINEAR_START, end: float = LINEAR_END
) -> Float[Tensor, " L"]:
    """Cumulative products of ``1 - beta``, float64; the betas are linear in their square roots."""
    roots = torch.linspace(math.sqrt(start), math.sqrt(end), num_levels, dtype=torch.float64)
    return torch.cumprod(1 - roots.square(), dim=0)


def noise_levels(
    alphas: Float[Tensor, " L"] | None = None, shift: float = LOG_SNR_SHIFT
) -> Float[Tensor, " L"]:
    """All noise levels, ascending, float32; an index into them is the network's time step."""
    alphas = cumulative_alphas() if alphas is None else alphas
    return (((1 - alphas) / alphas).sqrt() * math.exp(shift)).float()


def step_indices(num_steps: int, num_levels: int = NUM_LEVELS) -> list[int]:
    """Level of each step, noisiest first.

    Raises:
        ConfigError: more steps than levels, or none.
    """
    if not 1 <= num_steps <= num_levels:
        raise ConfigError(
            f"SEVA knows {num_levels} noise levels: a grid of {num_steps} steps does not exist.",
            hint=f"Choose num_steps between 1 and {num_levels}.",
        )
    if num_steps == num_levels:
        return list(range(num_levels - 1, -1, -1))
    # NumPy's grid, because its rounding decides where an index is one smaller.
    spaced = np.linspace(num_levels - 1, 0, num_steps, endpoint=False)
    return [int(index) for index in spaced]


def grid(num_steps: int, levels: Float[Tensor, " L"]) -> Float[Tensor, " S"]:
    """Noise levels of the steps, descending, and a final 0."""
    chosen = levels[step_indices(num_steps, len(levels))]
    return torch.cat([chosen, chosen.new_zeros(1)])


def quantised(sigma: Float[Tensor, " n"], levels: Float[Tensor, " L"]) -> Int[Tensor, " n"]:
    """Index of the nearest level."""
    return (sigma[:, None] - levels).abs().argmin(dim=1)
