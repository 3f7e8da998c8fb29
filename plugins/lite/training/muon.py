"""Muon (Jordan et al. 2024) for matrices and convolutions, AdamW for everything else.

Updates of a matrix are orthogonalised momentum, scaled to the size of AdamW's (Liu et al. 2025,
section 2.2), so that one learning rate serves both.
"""

import torch
from torch import Tensor, nn

from sphinx_framework.engine.slow_precision import computes_in


def orthogonalised(matrix: Tensor, rounds: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrix, by quintic Newton-Schulz iterations.

    In bfloat16 where the processor has it; imitated, it would be half of a training step.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16() if matrix.is_cuda or computes_in("bfloat16") else matrix.float()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Parameter groups with ``muon=True`` hold weights of two or more dimensions."""

    def __init__(self, network: nn.Module, rate: float, decay: float = 1e-2) -> None:
        wide = [
            p
            for p in network.parameters()
            if p.requires_grad and p.ndim >= 2 and min(p.shape[0], p[0].numel()) > 8
        ]
        chosen = {id(p) for p in wide}
        rest = [p for p in network.parameters() if p.requires_grad and id(p) not in chosen]
        defaults = {"lr": rate, "weight_decay": decay}
        super().__init__(
            [{"params": wide, "muon": True}, {"params": rest, "muon": False}], defaults
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                update = self._matrix(p, state) if group["muon"] else self._vector(p, state)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"])

    @staticmethod
    def _matrix(p: Tensor, state: dict[str, Tensor]) -> Tensor:
        momentum = state.setdefault("momentum", torch.zeros_like(p))
        momentum.lerp_(p.grad, 0.05)
        flat = p.grad.lerp(momentum, 0.95).flatten(1)
        scale = 0.2 * max(flat.shape) ** 0.5
        return orthogonalised(flat).view_as(p) * scale

    @staticmethod
    def _vector(p: Tensor, state: dict[str, Tensor]) -> Tensor:
        first = state.setdefault("first", torch.zeros_like(p))
        second = state.setdefault("second", torch.zeros_like(p))
        count = state.setdefault("count", torch.zeros(()))
        count += 1
        first.lerp_(p.grad, 0.1)
        second.lerp_(p.grad.square(), 0.02)
        return (first / (1 - 0.9**count)) / ((second / (1 - 0.98**count)).sqrt() + 1e-8)
