"""Leap flow: start at any timestep from the renders' latents, one or few steps to the clean clip.

The noise schedule is CogVideoX's (scaled linear, zero signal at the last timestep). One step from
the leap timestep is ``x0 = sqrt(a) x - sqrt(1 - a) v``, the paper's; with more, DDIM without noise
or the consistency sampler (LCM) walks down the same grid.
"""

from functools import cache
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from sphinx_framework.protocols import SolverStep
from sphinx_framework_videoscene.library import diffusers

TRAINING_STEPS = 1000
# Of the consistency boundary: c_skip = s^2 / ((10 t)^2 + s^2), with s = 0.5.
TIMESTEP_SCALE, BOUNDARY = 10.0, 0.25


@cache
def signal_shares() -> tuple[float, ...]:
    """The cumulative products ``a_t`` of all training timesteps, from almost 1 down to 0."""
    scheduler = diffusers("CogVideoXDDIMScheduler")(
        num_train_timesteps=TRAINING_STEPS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        rescale_betas_zero_snr=True,
        snr_shift_scale=1.0,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )
    shares: Tensor = scheduler.alphas_cumprod
    return tuple(shares.double().tolist())


def trailing_timesteps(num_steps: int) -> tuple[int, ...]:
    """``num_steps`` evenly spaced timesteps from 999 down; of 100, the authors' 549 and 459 are."""
    spacing = TRAINING_STEPS / num_steps
    return tuple(round(TRAINING_STEPS - step * spacing) - 1 for step in range(num_steps))


def boundary(timestep: int) -> tuple[float, float]:
    """``(c_skip, c_out)`` of the consistency sampler."""
    scaled = (TIMESTEP_SCALE * timestep) ** 2
    return BOUNDARY / (scaled + BOUNDARY), (scaled / (scaled + BOUNDARY)) ** 0.5


class LeapSampler:
    """A descending grid of timesteps, and the walk from any of them to the clean state."""

    def __init__(self, timesteps: tuple[int, ...], solver: Literal["ddim", "lcm"] = "ddim") -> None:
        """Take descending training timesteps; the state behind the last of them is clean."""
        self.timesteps = timesteps
        self.solver = solver
        shares = signal_shares()
        self._shares = [*(shares[timestep] for timestep in timesteps), 1.0]

    @property
    def num_steps(self) -> int:
        """Number of steps of the grid."""
        return len(self.timesteps)

    def level(self, step: int) -> tuple[float, float]:
        """Factors of the clean latents and of the noise in the state at the entry of ``step``."""
        share = self._shares[step]
        return share**0.5, (1 - share) ** 0.5

    def noised(
        self, clean: Float[Tensor, "R *d"], noise: Float[Tensor, "R *d"], step: int
    ) -> Float[Tensor, "R *d"]:
        """``sqrt(a) clean + sqrt(1 - a) noise``."""
        signal, spread = self.level(step)
        return signal * clean + spread * noise

    def clean(
        self, x: Float[Tensor, "R *d"], v: Float[Tensor, "R *d"], step: int
    ) -> Float[Tensor, "R *d"]:
        """The clean latents that a velocity stands for."""
        signal, spread = self.level(step)
        return signal * x - spread * v

    def advance(
        self, x: Float[Tensor, "R *d"], denoised: Float[Tensor, "R *d"], move: SolverStep
    ) -> Float[Tensor, "R *d"]:
        """One move of the solver."""
        signal, spread = self.level(move.step)
        next_signal, next_spread = self.level(move.next_step)
        if self.solver == "lcm":
            skip, out = boundary(self.timesteps[move.step])
            estimate = out * denoised + skip * x
            if next_spread == 0:
                return estimate
            return next_signal * estimate + next_spread * move.draw()
        noise = (x - signal * denoised) / spread
        return next_signal * denoised + next_spread * noise
