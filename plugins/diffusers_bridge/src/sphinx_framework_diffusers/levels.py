"""Noise levels of a stock scheduler, as a grid of ours."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import CapabilityError
from sphinx_framework.quiet import quiet_warnings
from sphinx_framework.samplers import SigmaSampler


class StockSampler(SigmaSampler):
    """A stock scheduler's own levels and timesteps; the state is ``clean + sigma * noise``."""

    def __init__(self, scheduler: Any, num_steps: int) -> None:
        """Raises :class:`CapabilityError` for schedulers without such levels."""
        own = type(scheduler).from_config(scheduler.config)  # set_timesteps keeps state
        with quiet_warnings():  # its conversions between torch and numpy
            own.set_timesteps(num_steps)
        if not hasattr(own, "sigmas") or len(own.sigmas) != num_steps + 1:
            raise CapabilityError(
                f"the scheduler {type(own).__name__} has no {num_steps} noise levels of the form "
                "clean + sigma * noise.",
                hint="Use a pipeline with an Euler scheduler.",
            )
        super().__init__(own.sigmas)
        self.timesteps: tuple[float, ...] = tuple(float(t) for t in own.timesteps)
        self.prediction: str = own.config.prediction_type

    def scaled(self, x: Float[Tensor, "T C h w"], step: int) -> Float[Tensor, "T C h w"]:
        """What the network is handed of a state."""
        scaled: Tensor = x / (self.sigmas[step] ** 2 + 1) ** 0.5
        return scaled

    def clean(
        self, x: Float[Tensor, "T C h w"], prediction: Float[Tensor, "T C h w"], step: int
    ) -> Float[Tensor, "T C h w"]:
        """The clean latents that a prediction of the scheduler's kind stands for."""
        sigma = self.sigmas[step]
        if self.prediction == "v_prediction":
            share = 1 / (sigma**2 + 1)
            return share * x - sigma * share**0.5 * prediction
        if self.prediction == "epsilon":
            return x - sigma * prediction
        return prediction
