"""What every block of a forward pass reads besides the features handed to it."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Conditioning of one forward pass (``g`` guidance branches, ``T`` frames, ``R`` rows held).

    time: embedding of the noise level; one row when all rows share a level (normal sampling).
    context: image-embedding tokens of every frame. leading: those of its branch's first frame.
    dense: Pluecker maps per down-sampling factor, of all frames (once, or per branch).
    keep_modulations: compute the modulation of each residual block once per request.
    """

    time: Float[Tensor, "one_or_R E"]
    context: Float[Tensor, "gT n D"]
    leading: Float[Tensor, "gT n D"]
    dense: dict[int, Float[Tensor, "dT P h w"]]
    keep_modulations: bool = True
