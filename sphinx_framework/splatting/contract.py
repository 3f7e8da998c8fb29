"""What every Gaussian back-end computes: constants of the model, and the views it returns."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

ALPHA_MIN = 1 / 255
ALPHA_MAX = 0.99
TRANSMITTANCE_STOP = 1e-4
DILATION = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianRender:
    """Rendered views.

    images: composited colours, not clamped to 1, with the background behind them.
    opacity: accumulated weight in [0, 1].
    depth: sum of weight times camera z, 0 where empty; divide by the opacity for a mean depth.
    """

    images: Float[Tensor, "V 3 H W"]
    opacity: Float[Tensor, "V H W"]
    depth: Float[Tensor, "V H W"]
