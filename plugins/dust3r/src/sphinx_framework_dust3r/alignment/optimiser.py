"""Adam on the alignment's free variables, with a decaying learning rate."""

import math

import torch
from torch import Tensor

from sphinx_framework_dust3r.alignment.objective import Objective
from sphinx_framework_dust3r.alignment.state import AlignmentState
from sphinx_framework_dust3r.config import AlignmentConfig

BETAS = (0.9, 0.9)


def learning_rate(iteration: int, config: AlignmentConfig) -> float:
    """Learning rate of a step, cosine or linear from the first value to the last."""
    progress = iteration / config.iterations
    first, last = config.learning_rate, config.last_learning_rate
    if config.schedule == "cosine":
        return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2
    return first + (last - first) * progress


def optimise(
    objective: Objective,
    start: AlignmentState,
    config: AlignmentConfig,
    *,
    fixed: frozenset[str] = frozenset(),
) -> tuple[AlignmentState, list[float]]:
    """Minimise the objective from ``start``; returns the variables and the loss before each step.

    fixed: names of the fields of :class:`AlignmentState` that keep their values.
    """
    values = {
        name: value.detach().clone().requires_grad_(name not in fixed)
        for name, value in start._asdict().items()
    }
    state = AlignmentState(**values)
    free = [value for value in state if value.requires_grad]
    optimiser = torch.optim.Adam(free, lr=config.learning_rate, betas=BETAS)
    losses: list[Tensor] = []
    with torch.enable_grad():
        for iteration in range(config.iterations):
            optimiser.param_groups[0]["lr"] = learning_rate(iteration, config)
            optimiser.zero_grad(set_to_none=True)
            loss = objective.loss(state)
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
    finished = AlignmentState(*(value.detach() for value in state))
    # One transfer at the end: reading each loss would make the device wait at every step.
    return finished, torch.stack(losses).tolist() if losses else []
