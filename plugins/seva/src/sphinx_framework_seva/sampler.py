"""SEVA's Euler sampler as a noise schedule of the engine."""

from jaxtyping import Float
from torch import Tensor

from sphinx_framework.protocols import SolverStep
from sphinx_framework.samplers import SigmaSampler, Solver
from sphinx_framework_seva.noise_levels import grid, quantised

# SEVA raises every noise level by this before it is denoised.
RAISE = 1e-6


class SevaSampler(SigmaSampler):
    """The steps' noise levels, raised by 1e-6 as SEVA's sampler does.

    SEVA adds noise of standard deviation ``sqrt((sigma + 1e-6)^2 - sigma^2)``, computed in float32
    and thus 0 at large sigma, at the start of every step. Here it is added at the end of the move
    that leads to the step, so that the state handed to ``denoise`` is the raised one; only the
    very first step goes without (its deviation is 0 in float32 from sigma = 85).

    Args:
        levels: all noise levels, ascending.
        num_steps: steps of the grid.
        solver: ``"euler"`` is SEVA's; ``"dpmpp_2m"`` and ``"unipc"`` are the core's, without raise.
        step_noise: draw that noise; without it the walk is deterministic.
    """

    def __init__(
        self,
        levels: Float[Tensor, " L"],
        num_steps: int,
        *,
        solver: Solver = "euler",
        step_noise: bool = True,
    ) -> None:
        sigmas = grid(num_steps, levels)
        super().__init__(sigmas, solver)
        raised = sigmas[:-1] + RAISE  # float32 on purpose: it decides where the noise vanishes
        deviation = (raised.square() - sigmas[:-1].square()).clamp(min=0).sqrt()
        self.step_noise = step_noise
        self.raised = raised.tolist()
        self.deviation = [*deviation.tolist(), 0.0]
        self.time_indices: list[int] = quantised(raised, levels).tolist()

    def raised_state(self, x: Tensor, step: int, noise: Tensor) -> Tensor:
        """State at the raised noise level of ``step``."""
        return x + self.deviation[step] * noise

    def advance(
        self, x: Float[Tensor, "R *d"], denoised: Float[Tensor, "R *d"], move: SolverStep
    ) -> Float[Tensor, "R *d"]:
        """One Euler move from the raised level, then the noise of the next step's level."""
        if self.solver != "euler":
            return super().advance(x, denoised, move)
        raised, next_sigma = self.raised[move.step], self.sigmas[move.next_step]
        x = x + (next_sigma - raised) * (x - denoised) / raised
        if self.step_noise and self.deviation[move.next_step] > 0:
            x = self.raised_state(x, move.next_step, move.draw())
        return x
