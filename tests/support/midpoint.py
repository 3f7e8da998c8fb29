"""A solver of two evaluations a step, on a grid of evaluations: DPM-Solver++(2S) by midpoints."""

from itertools import pairwise

import torch
from torch import Tensor

from sphinx_framework.protocols import SolverStep


class MidpointSampler:
    """``count`` steps are ``2 * count`` grid steps; odd ones start at the midpoint of a step."""

    def __init__(self, sigmas: Tensor) -> None:
        ends = [float(sigma) for sigma in sigmas]
        self.sigmas = [ends[0]]
        for a, b in pairwise(ends):
            # The geometric mean; of the last step, which ends in 0, a tenth.
            self.sigmas += [(a * b) ** 0.5 if b > 0 else 0.1 * a, b]

    @property
    def num_steps(self) -> int:
        return len(self.sigmas) - 1

    def noised(self, clean: Tensor, noise: Tensor, step: int) -> Tensor:
        return clean + self.sigmas[step] * noise

    def advance(self, x: Tensor, denoised: Tensor, move: SolverStep) -> Tensor:
        now, later = self.sigmas[move.step], self.sigmas[move.next_step]
        follows = move.previous is not None and move.previous[0] == move.step - 1
        if move.step % 2 == 1 and move.next_step == move.step + 1 and follows:
            first = move.previous[1]
            before = self.sigmas[move.step - 1]
            x = first + (x - first) * (before / now)  # the state that the midpoint was reached from
            now = before
        return torch.lerp(denoised, x, later / now)
