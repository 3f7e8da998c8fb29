"""Residual blocks of the U-Net."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.nn import Conv2d, GroupNorm
from sphinx_framework.protocols import Executor
from sphinx_framework_seva.config import GROUPS
from sphinx_framework_seva.signals import Signals


class ResBlock(nn.Module):
    """Residual block whose first half is scaled and shifted by the Pluecker maps.

    factor: down-sampling factor of the level, which says which Pluecker map it reads.
    """

    site: str = ""

    def __init__(
        self, channels: int, out_channels: int, time_channels: int, dense_channels: int, factor: int
    ) -> None:
        super().__init__()
        self.factor = factor
        self.in_layers = nn.ModuleList(
            [
                GroupNorm(GROUPS, channels, eps=1e-5),
                nn.SiLU(),
                Conv2d(channels, out_channels, 3, padding=1),
            ]
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time_channels, out_channels))
        self.dense_emb_layers = nn.Sequential(nn.Conv2d(dense_channels, 2 * channels, 1))
        self.out_layers = nn.ModuleList(
            [
                GroupNorm(GROUPS, out_channels, eps=1e-5),
                nn.SiLU(),
                nn.Identity(),  # the dropout's place, which numbers the convolution's key
                Conv2d(out_channels, out_channels, 3, padding=1),
            ]
        )
        self.skip_connection: nn.Module = (
            nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)
        )

    def forward(
        self, x: Float[Tensor, "R C a b"], signals: Signals, ops: Executor
    ) -> Float[Tensor, "R D a b"]:
        hidden = self._modulated(F.silu(self.in_layers[0](x, ops)), signals, ops)
        hidden = self.in_layers[2](hidden, ops) + self.emb_layers(signals.time)[..., None, None]
        hidden = self.out_layers[3](F.silu(self.out_layers[0](hidden, ops)), ops)
        out: Tensor = self.skip_connection(x) + hidden
        return out

    def _modulated(
        self, hidden: Float[Tensor, "R C a b"], signals: Signals, ops: Executor
    ) -> Float[Tensor, "R C a b"]:
        """Scale and shift by the Pluecker maps, which all branches share."""
        dense = signals.dense[self.factor]
        if signals.keep_modulations:
            whole = ops.constant(f"{self.site}.modulation", lambda: self.dense_emb_layers(dense))
            maps = ops.maps(whole)
        else:
            maps = self.dense_emb_layers(ops.maps(dense))
        scale, shift = maps.chunk(2, dim=1)
        branches = hidden.unflatten(0, (-1, len(maps)))
        return (branches * (1 + scale) + shift).flatten(0, 1)
