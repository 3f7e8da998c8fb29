"""What surrounds the network: input latents put in, scaling, epsilon prediction."""

from jaxtyping import Float
from torch import Tensor


def with_inputs(
    x: Float[Tensor, "R C a b"], replace: Float[Tensor, "R D a b"]
) -> Float[Tensor, "R C a b"]:
    """Overwrite the latents of input frames; the last channel of ``replace`` says where."""
    where = replace[:, -1:]
    return x * (1 - where) + replace[:, :-1] * where


def scaled(x: Float[Tensor, "R C a b"], sigma: float) -> Float[Tensor, "R C a b"]:
    """State of noise level ``sigma`` brought to about unit variance for the network."""
    return x * (sigma**2 + 1) ** -0.5


def denoised(
    x: Float[Tensor, "R C a b"], predicted_noise: Float[Tensor, "R C a b"], sigma: float
) -> Float[Tensor, "R C a b"]:
    """Clean latents from the network's noise prediction; ``x`` has the inputs put in."""
    return x - sigma * predicted_noise
