"""DDIM in alpha space for v-prediction with dynamic rescale.

The engine's "denoised" is the estimate of the clean latents; the network's own estimate at a step
is that times the step's ``scale``, because training shrank clean latents before adding noise.
"""

import math
from copy import copy
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import ConfigError
from sphinx_framework.protocols import SolverStep
from sphinx_framework.samplers import corrected
from sphinx_framework_viewcrafter.config import Solver, Spacing
from sphinx_framework_viewcrafter.training_schedule import TrainingSchedule


class DdimSampler:
    """A grid of training steps from noisy to clean, and the moves between them.

    ``timesteps``, ``alphas`` and ``scales`` have one entry per step; step 0 is the noisiest.
    """

    def __init__(
        self,
        num_steps: int,
        training: TrainingSchedule,
        *,
        eta: float = 1.0,
        spacing: Spacing = "uniform_trailing",
        final: Literal["sample", "denoised"] = "sample",
        solver: Solver = "ddim",
    ) -> None:
        """Pick the grid; raises :class:`ConfigError` when it does not exist.

        solver: ``"ddim"`` is the authors'; the others draw no noise. ``"euler"`` is DDIM at
            ``eta = 0``, which is Euler's method on the walk's differential equation.
        """
        self.timesteps = timesteps(num_steps, len(training.betas), spacing)
        self.alphas = [float(training.alphas_cumprod[t]) for t in self.timesteps]
        self.scales = [float(training.scales[t]) for t in self.timesteps]
        # The walk ends at training step 0, not at zero noise.
        self.end_alpha = float(training.alphas_cumprod[0])
        self.end_scale = float(training.scales[0])
        self.eta = eta
        self.final = final
        self.solver: Solver = solver

    @property
    def solvers(self) -> tuple[str, ...]:
        """What :meth:`with_solver` takes."""
        return get_args(Solver)

    def with_solver(self, solver: str) -> "DdimSampler":
        """The same grid by another solver; raises ``ValueError`` for one that is not known."""
        if solver not in self.solvers:
            raise ValueError(f"no solver {solver!r}: there are {', '.join(self.solvers)}")
        other = copy(self)
        other.solver = solver  # type: ignore[assignment]
        return other

    @property
    def num_steps(self) -> int:
        """Number of steps of the grid."""
        return len(self.timesteps)

    def noised(
        self, clean: Float[Tensor, "R *d"], noise: Float[Tensor, "R *d"], step: int
    ) -> Float[Tensor, "R *d"]:
        """``sqrt(alpha) * scale * clean + sqrt(1 - alpha) * noise``; clean at ``num_steps``."""
        if step == self.num_steps:
            return clean
        alpha = self.alphas[step]
        return math.sqrt(alpha) * self.scales[step] * clean + math.sqrt(1 - alpha) * noise

    def denoised(
        self, x: Float[Tensor, "R *d"], v: Float[Tensor, "R *d"], step: int
    ) -> Float[Tensor, "R *d"]:
        """Clean latents from the network's ``v`` at a step."""
        alpha = self.alphas[step]
        return (math.sqrt(alpha) * x - math.sqrt(1 - alpha) * v) / self.scales[step]

    def sigma(self, step: int, next_step: int) -> float:
        """Deviation of the fresh noise of a move."""
        alpha, next_alpha = self.alphas[step], self._level(next_step)[0]
        ratio = (1 - next_alpha) / (1 - alpha) * (1 - alpha / next_alpha)
        return self.eta * math.sqrt(max(ratio, 0.0))

    def advance(
        self, x: Float[Tensor, "R *d"], denoised: Float[Tensor, "R *d"], move: SolverStep
    ) -> Float[Tensor, "R *d"]:
        """One move to any later step; DDIM and Euler do not look back."""
        if move.next_step == self.num_steps and self.final == "denoised":
            return denoised
        if self.solver == "unipc" and move.previous is not None:
            x = self._corrected(x, denoised, move, move.previous)
        if self.solver in ("dpmpp_2m", "unipc"):
            denoised = self._extrapolated(denoised, move)
        alpha, scale = self.alphas[move.step], self.scales[move.step]
        next_alpha, next_scale = self._level(move.next_step)
        noise = (x - math.sqrt(alpha) * scale * denoised) / math.sqrt(1 - alpha)
        sigma = self.sigma(move.step, move.next_step) if self.solver == "ddim" else 0.0
        # At zero signal and eta 1 the radicand is 0 up to rounding: below 0 it would give NaN.
        direction = math.sqrt(max(1 - next_alpha - sigma**2, 0.0))
        moved = math.sqrt(next_alpha) * next_scale * denoised + direction * noise
        return moved + sigma * move.draw() if sigma > 0 else moved

    def _extrapolated(
        self, denoised: Float[Tensor, "R *d"], move: SolverStep
    ) -> Float[Tensor, "R *d"]:
        """The prediction at the middle of the move (Lu et al. 2022, eq. 5.1), by the last one.

        The first move of a frame, the one after pure noise and the last one are of first order.
        """
        if move.previous is None or move.next_step == self.num_steps:
            return denoised
        step, earlier = move.previous
        if self.alphas[step] == 0:
            return denoised
        levels = [self._log_ratio(at) for at in (step, move.step, move.next_step)]
        slope = (levels[2] - levels[1]) / (2 * (levels[1] - levels[0]))
        return (1 + slope) * denoised - slope * earlier

    def _corrected(
        self,
        x: Float[Tensor, "R *d"],
        denoised: Float[Tensor, "R *d"],
        move: SolverStep,
        previous: tuple[int, Tensor],
    ) -> Float[Tensor, "R *d"]:
        """The state as the last move had led to it, had it known ``denoised`` (UniC)."""
        past = [previous]
        # A move that began one move after pure noise did not look back (see _extrapolated).
        if move.earlier is not None and self.alphas[move.earlier[0]] > 0:
            past.append(move.earlier)
        levels = [self._log_ratio(at) for at in (move.step, *(at for at, _ in past))]
        signal = math.sqrt(self.alphas[move.step]) * self.scales[move.step]
        return corrected(x, [denoised, *(estimate for _, estimate in past)], levels, signal)

    def _log_ratio(self, step: int) -> float:
        """Logarithm of signal over noise, as the state holds them; ``-inf`` for pure noise."""
        alpha, scale = self._level(step)
        if alpha == 0:
            return -math.inf
        return math.log(math.sqrt(alpha) * scale / math.sqrt(1 - alpha))

    def _level(self, step: int) -> tuple[float, float]:
        """Signal power and scale at the entry of a step, or at the end of the walk."""
        if step == self.num_steps:
            return self.end_alpha, self.end_scale
        return self.alphas[step], self.scales[step]


def timesteps(num_steps: int, train_steps: int, spacing: Spacing) -> list[int]:
    """Visited training steps, noisiest first.

    uniform_trailing: from the last training step downwards in equal strides. uniform: from step 1
    upwards with a whole-number stride, which exists only for some counts.
    """
    if not 1 <= num_steps <= train_steps:
        raise ConfigError(
            f"the model was trained on {train_steps} noise levels: {num_steps} steps do not fit.",
            hint=f"Choose num_steps between 1 and {train_steps}.",
        )
    if spacing == "uniform_trailing":
        # The float stride can yield one entry too many, near 0; rounding is half to even.
        grid = np.arange(train_steps, 0, -train_steps / num_steps)[:num_steps]
        return [int(t) - 1 for t in np.round(grid)]
    grid = np.arange(0, train_steps, train_steps // num_steps) + 1
    if len(grid) != num_steps or grid[-1] >= train_steps:
        raise ConfigError(
            f"spacing 'uniform' has no grid of {num_steps} of {train_steps} training steps.",
            hint="Use a divisor of the training steps, or spacing 'uniform_trailing'.",
        )
    return [int(t) for t in grid[::-1]]
