"""Noise schedules in sigma space, shared by models that predict clean latents (EDM form).

A state is ``clean + temperature * sigma * noise``. Three solvers walk down the grid: Euler (SEVA's
and the paper's), DPM-Solver++(2M) (Lu et al. 2022, eq. 5.1 in data prediction), whose history makes
few steps go further, and UniPC (Zhao et al. 2023, order 2, ``B(h) = e^h - 1``), which first
corrects the state by what the network says there and then moves as DPM-Solver++(2M) does. All
accept any ``step -> next_step``, so a few-step walk may use a subset of the grid.
"""

import math
from collections.abc import Sequence
from copy import copy
from itertools import pairwise
from typing import Literal, Self, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.protocols import SolverStep

Solver = Literal["euler", "dpmpp_2m", "unipc"]


class SigmaSampler:
    """A descending grid of noise levels that ends in 0."""

    def __init__(
        self, sigmas: Float[Tensor, " S"], solver: Solver = "euler", temperature: float = 1.0
    ) -> None:
        """Take ``num_steps + 1`` levels; raises ``ValueError`` unless strictly descending to 0.

        temperature: share of the noise that states get, in (0, 1]. The levels, which the network
            is told, stay. Where what may be is Gaussian around a mean, a walk from ``tau`` of the
            noise ends ``tau`` times as far from that mean: 1 draws a sample, less is closer to it.
        """
        if not 0 < temperature <= 1:
            raise ValueError(f"a temperature is in (0, 1], got {temperature:g}")
        levels = [float(sigma) for sigma in sigmas]
        if levels[-1] != 0 or any(a <= b for a, b in pairwise(levels)):
            raise ValueError("sigmas must be strictly descending and end in 0")
        self.sigmas = levels
        self.solver = solver
        self.temperature = temperature

    @property
    def num_steps(self) -> int:
        """Number of steps of the grid."""
        return len(self.sigmas) - 1

    @property
    def solvers(self) -> tuple[str, ...]:
        """What :meth:`with_solver` takes."""
        return get_args(Solver)

    def with_solver(self, solver: str) -> Self:
        """The same grid by another solver; raises ``ValueError`` for one that is not known."""
        if solver not in self.solvers:
            raise ValueError(f"no solver {solver!r}: there are {', '.join(self.solvers)}")
        other = copy(self)
        other.solver = solver  # type: ignore[assignment]
        return other

    def noised(
        self, clean: Float[Tensor, "R *d"], noise: Float[Tensor, "R *d"], step: int
    ) -> Float[Tensor, "R *d"]:
        """``clean + temperature * sigma[step] * noise``."""
        return clean + self.temperature * self.sigmas[step] * noise

    def advance(
        self, x: Float[Tensor, "R *d"], denoised: Float[Tensor, "R *d"], move: SolverStep
    ) -> Float[Tensor, "R *d"]:
        """One solver move; the multistep solver's first move of a frame is of first order."""
        sigma, next_sigma = self.sigmas[move.step], self.sigmas[move.next_step]
        if self.solver == "unipc" and move.previous is not None:
            x = self._corrected(x, denoised, move, move.previous)
        estimate = denoised
        if self.solver != "euler" and move.previous is not None and next_sigma > 0:
            estimate = self._extrapolated(denoised, move, sigma, next_sigma)
        # Euler in sigma and first-order DPM-Solver++ are the same line in data prediction.
        ratio = next_sigma / sigma
        return ratio * x + (1 - ratio) * estimate

    def _extrapolated(
        self, denoised: Tensor, move: SolverStep, sigma: float, next_sigma: float
    ) -> Tensor:
        assert move.previous is not None
        previous_step, previous_denoised = move.previous
        log = torch.log(torch.tensor([self.sigmas[previous_step], sigma, next_sigma]).double())
        last, now = float(log[0] - log[1]), float(log[1] - log[2])
        slope = now / (2 * last)
        return (1 + slope) * denoised - slope * previous_denoised

    def _corrected(
        self, x: Tensor, denoised: Tensor, move: SolverStep, previous: tuple[int, Tensor]
    ) -> Tensor:
        past = (previous,) if move.earlier is None else (previous, move.earlier)
        levels = [-math.log(self.sigmas[step]) for step in (move.step, *(at for at, _ in past))]
        return corrected(x, [denoised, *(estimate for _, estimate in past)], levels)


def corrected(
    x: Float[Tensor, "R *d"],
    estimates: Sequence[Float[Tensor, "R *d"]],
    levels: Sequence[float],
    signal: float = 1.0,
) -> Float[Tensor, "R *d"]:
    """The state that the last move had led to, had it known the prediction at its end (UniC).

    The predictor of UniPC is the move of DPM-Solver++(2M). Both it and the corrector are linear in
    the state where the move began, by the same line; so their difference is one of predictions
    alone, and nobody has to remember that state.

    Args:
        x: as predicted.
        estimates: clean data as predicted here, one move earlier, and, unless the move that led
            here was its rows' first, two moves earlier.
        levels: logarithm of signal over noise at the same places; one move earlier it may be
            ``-inf``, if that was the first.
        signal: factor of the clean data in the state.
    """
    here, last = estimates[:2]
    span = levels[0] - levels[1]
    growth = math.expm1(-span)
    change = 0.5 * (here - last)
    if len(estimates) > 2:
        ratio = (levels[2] - levels[1]) / span
        first = growth / -span - 1
        weight = (first - 2 * (first / -span - 0.5)) / (growth * (1 - ratio))
        slope = (estimates[2] - last) / ratio
        change = (weight - 0.5) * slope + (first / growth - weight) * (here - last)
    return x - signal * growth * change


def karras_sigmas(
    num_steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0
) -> Float[Tensor, " S"]:
    """Karras et al. 2022, eq. 5: ``num_steps`` levels from max to min, then 0."""
    ramp = torch.linspace(0, 1, num_steps, dtype=torch.float64)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    levels = (high + ramp * (low - high)) ** rho
    return torch.cat([levels, levels.new_zeros(1)])
