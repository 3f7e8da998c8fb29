"""Small networks that map the numbers of an image to one number."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

HIDDEN = 48
HEADS = 4


class Head(nn.Module):
    """Standardises features and maps them to a score in (0, 1)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        self.layers = nn.Sequential(
            nn.Linear(features, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, HIDDEN // 2),
            nn.SiLU(),
            nn.Linear(HIDDEN // 2, 1),
        )

    def forward(self, features: Float[Tensor, "V F"]) -> Float[Tensor, " V"]:
        return torch.sigmoid(self.plain(features))

    def plain(self, features: Float[Tensor, "V F"]) -> Float[Tensor, " V"]:
        """The number before it is squeezed into (0, 1)."""
        normal = ((features - self.mean) / self.deviation).clamp(-4, 4)
        out: Tensor = self.layers(normal)[:, 0]
        return out


class Heads(nn.Module):
    """The mean of some heads, trained apart: one alone depends on its random start."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList([Head(features) for _ in range(HEADS)])

    def plain(self, features: Float[Tensor, "V F"]) -> Float[Tensor, " V"]:
        """The number before it is squeezed into (0, 1)."""
        return torch.stack([head.plain(features) for head in self.heads]).mean(0)  # type: ignore[operator]
