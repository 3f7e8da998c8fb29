"""The sampler: a grid of noise levels and the solver that walks down it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverStep:
    """One move along the noise schedule, for a group of frames with a common past.

    step, next_step: entry and exit, ``0 <= step < next_step <= num_steps``.
    previous: ``(step, denoised)`` of the same rows one move earlier, or ``None`` at their start.
    earlier: the same of two moves earlier; ``None`` where there were not two.
    draw: returns standard normal noise of ``x``'s shape, the same for the same seed, step, frame.
    """

    step: int
    next_step: int
    previous: tuple[int, Tensor] | None
    draw: Callable[[], Tensor]
    earlier: tuple[int, Tensor] | None = None


class Sampler(Protocol):
    """Hides sigma space (SEVA, lite) and alpha space (ViewCrafter) from the engine."""

    @property
    def num_steps(self) -> int:
        """Number of denoising steps of the full grid; step 0 is the noisiest."""
        ...

    def noised(
        self, clean: Float[Tensor, "R *d"], noise: Float[Tensor, "R *d"], step: int
    ) -> Float[Tensor, "R *d"]:
        """State at the entry of ``step``; ``noised(., ., num_steps)`` is the clean state."""
        ...

    def advance(
        self, x: Float[Tensor, "R *d"], denoised: Float[Tensor, "R *d"], move: SolverStep
    ) -> Float[Tensor, "R *d"]:
        """Move the state from ``move.step`` to ``move.next_step``."""
        ...


@runtime_checkable
class ChoosesSolver(Protocol):
    """What a sampler may add: a choice of solvers, so that plans can name one."""

    @property
    def solvers(self) -> tuple[str, ...]:
        """Their names."""
        ...

    def with_solver(self, solver: str) -> Sampler:
        """The same grid, walked by one of ``solvers``."""
        ...
