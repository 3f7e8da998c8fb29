"""Changes of resolution between levels of a U-Net, under the names that checkpoints have."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework.nn.layers import Conv2d
from sphinx_framework.protocols import Executor


class Downsample(nn.Module):
    """Halve both sides with a strided convolution.

    signals: what blocks of the same stage take besides activations; not looked at.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(
        self, x: Float[Tensor, "R C a b"], signals: object, ops: Executor
    ) -> Float[Tensor, "R C i j"]:
        out: Tensor = self.op(x, ops)
        return out


class Upsample(nn.Module):
    """Double both sides by repetition, then smooth with a convolution; ``signals`` as above."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv2d(channels, channels, 3, padding=1)

    def forward(
        self, x: Float[Tensor, "R C a b"], signals: object, ops: Executor
    ) -> Float[Tensor, "R C i j"]:
        out: Tensor = self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"), ops)
        return out
