"""What an attention sees beyond the plain case: bias, order in time, tokens of no frame."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Projected tokens: ``R n`` of the held rows, or ``g m`` that belong to no frame."""

    query: Float[Tensor, "B n D"]
    key: Float[Tensor, "B n D"]
    value: Float[Tensor, "B n E"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Limits and additions to what the queries of one ``attention`` call see.

    bias: added to the logits, or, where it is boolean, True where a query may look. Its last two
        axes are the queries and keys of a **full** pass, whatever rows are held: ``n n`` cells of
        a frame (reach ``"frame"``), ``T T`` frames (``"frames"``), ``T*n T*n`` (``"clip"``; of
        full-size clips this is large, so prefer ``causal`` or a frame bias). ``H`` is the heads
        or 1; ``B`` is 1, or one entry a frame and branch (``gT``, reach ``"frame"``) or a branch
        (``g``, the others). Every query must see something.
    causal: over frames: a query sees its own frame and earlier ones. Not for reach ``"frame"``.
    key, value: tokens that belong to no frame (registers, a text), per guidance branch; every
        query sees them, whatever the bias. They are computed anew in every step, never cached.
    """

    bias: Float[Tensor, "B H q k"] | Bool[Tensor, "B H q k"] | None = None
    causal: bool = False
    key: Float[Tensor, "g m D"] | None = None
    value: Float[Tensor, "g m E"] | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a bias without its four axes, or a key without a value."""
        if self.bias is not None and self.bias.ndim != 4:
            raise ValueError(f"a bias has four axes [B H q k], not {tuple(self.bias.shape)}")
        if (self.key is None) != (self.value is None):
            raise ValueError("tokens of no frame need both key and value")
