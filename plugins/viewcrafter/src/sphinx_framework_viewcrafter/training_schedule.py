"""The noise that the network was trained against, in float64."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework_viewcrafter.config import DiffusionConfig

# The checkpoint's rescale table is longer than there are training steps.
SCALE_TABLE_EXTRA = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSchedule:
    """Per training step t, ascending noise.

    betas: variance added per step. alphas_cumprod: remaining signal power, 0 at the last step with
    zero terminal signal-to-noise ratio. scales: by how much clean latents were shrunk.
    """

    betas: Float[Tensor, " t"]
    alphas_cumprod: Float[Tensor, " t"]
    scales: Float[Tensor, " s"]

    @classmethod
    def from_config(cls, config: DiffusionConfig) -> "TrainingSchedule":
        """Build the tables of a checkpoint family."""
        ends = torch.tensor([config.linear_start, config.linear_end], dtype=torch.float64).sqrt()
        roots = torch.linspace(
            float(ends[0]), float(ends[1]), config.train_steps, dtype=torch.float64
        )
        betas = roots.square()
        alphas_cumprod = (1 - betas).cumprod(0)
        if config.zero_terminal_snr:
            alphas_cumprod = _zero_terminal(alphas_cumprod)
            betas = 1 - torch.cat([alphas_cumprod[:1], alphas_cumprod[1:] / alphas_cumprod[:-1]])
        return cls(betas=betas, alphas_cumprod=alphas_cumprod, scales=_scales(config))

    def buffers(self) -> dict[str, Float[Tensor, " t"]]:
        """The tables a checkpoint carries, float32, by their names there."""
        alphas, betas, total = 1 - self.betas, self.betas, self.alphas_cumprod
        before = torch.cat([total.new_ones(1), total[:-1]])
        variance = betas * (1 - before) / (1 - total)
        tables = {
            "betas": betas,
            "alphas_cumprod": total,
            "alphas_cumprod_prev": before,
            "sqrt_alphas_cumprod": total.sqrt(),
            "sqrt_one_minus_alphas_cumprod": (1 - total).sqrt(),
            "log_one_minus_alphas_cumprod": (1 - total).log(),
            # Not defined at zero signal; v-prediction models store zeros.
            "sqrt_recip_alphas_cumprod": torch.zeros_like(total),
            "sqrt_recipm1_alphas_cumprod": torch.zeros_like(total),
            "posterior_variance": variance,
            "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
            "posterior_mean_coef1": betas * before.sqrt() / (1 - total),
            "posterior_mean_coef2": (1 - before) * alphas.sqrt() / (1 - total),
            "scale_arr": self.scales,
        }
        return {name: table.float() for name, table in tables.items()}


def _zero_terminal(alphas_cumprod: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
    """Shift and stretch the signal amplitudes so that the last is 0 and the first stays."""
    roots = alphas_cumprod.sqrt()
    first, last = roots[0], roots[-1]
    return ((roots - last) * first / (first - last)).square()


def _scales(config: DiffusionConfig) -> Float[Tensor, " s"]:
    length = config.train_steps + SCALE_TABLE_EXTRA
    if not config.dynamic_rescale:
        return torch.ones(length, dtype=torch.float64)
    ramp = torch.linspace(1, config.base_scale, config.turning_step, dtype=torch.float64)
    flat = torch.full((max(0, length - len(ramp)),), config.base_scale, dtype=torch.float64)
    return torch.cat([ramp, flat])[:length]
