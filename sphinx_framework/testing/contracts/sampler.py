"""What the contract of a diffusion model asks of its sampler: levels, moves, solver, noise."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import torch
from torch import Tensor

from sphinx_framework.protocols import ChoosesSolver, Sampler, SolverStep
from sphinx_framework.testing.contracts.base import Contract
from sphinx_framework.testing.oracle import relative_error

SHAPE = (3, 4, 40, 56)
PAPER_STEPS = 50  # of the grid that pipelines use


def _giving(noise: Tensor) -> Callable[[], Tensor]:
    return lambda: noise


class SamplerChecks(Contract):
    """Checks of ``sampler(num_steps)``; mixed into :class:`DiffusionContract`."""

    num_steps: int = 10
    end_tolerance: float = 0.05

    def grid(self, num_steps: int | None = None) -> Sampler:
        """The model's sampler."""
        made: Sampler = self.make().sampler(num_steps or self.num_steps)
        return made

    def grids(self, num_steps: int | None = None) -> list[Sampler]:
        """The model's sampler, and the same grid by every other solver that it has."""
        made = self.grid(num_steps)
        if not isinstance(made, ChoosesSolver):
            return [made]
        return [made, *(made.with_solver(solver) for solver in made.solvers)]

    def _draws(self, count: int, seed: int = 3) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        drawn = [torch.randn(SHAPE, generator=generator) for _ in range(count)]
        return [noise.to(self.device) for noise in drawn]

    def test_noise_falls_over_the_grid_and_ends_at_nothing(self) -> None:
        model = self.make()
        for count in (self.num_steps, self.num_steps + 5, PAPER_STEPS, 2, 1):
            try:
                with self.leaves_alone():
                    grid: Sampler = model.sampler(count)
            except Exception:
                if count > 1:
                    raise
                continue  # to refuse a grid of one step is an answer, too
            self.expect(grid.num_steps == count, f"a grid of {count} steps", grid.num_steps)
            one, nothing = torch.ones(SHAPE), torch.zeros(SHAPE)
            noise = [float(grid.noised(nothing, one, s).mean()) for s in range(count + 1)]
            signal = [float(grid.noised(one, nothing, s).mean()) for s in range(count + 1)]
            self.expect((noise[-1], signal[-1]) == (0, 1), "the clean state at the end",
                        f"{signal[-1]:g} of the signal and {noise[-1]:g} of the noise")  # fmt: skip
            ratios = [n / max(s, 1e-9) for n, s in zip(noise, signal, strict=True)]
            self.expect(
                ratios == sorted(ratios, reverse=True) and len(set(ratios)) == count + 1,
                "noise against signal that falls at every step", [f"{r:.3g}" for r in ratios],
            )  # fmt: skip

    def test_schedule_ends_clean_and_a_perfect_denoiser_recovers(self) -> None:
        clean, noise, *fresh = self._draws(2 + self.num_steps)
        for grid in self.grids():
            came = grid.noised(clean, noise, self.num_steps)
            self.expect(torch.equal(came, clean), "the clean state at num_steps", "another state")
            x = grid.noised(clean, noise, 0)
            for step in range(self.num_steps):
                move = SolverStep(
                    step=step, next_step=step + 1, previous=None, draw=_giving(fresh[step])
                )
                x = grid.advance(x, clean, move)
            error = relative_error(x, clean)
            self.expect(error < self.end_tolerance, "a walk that ends at the clean state", error)

    def test_a_move_lands_on_the_level_of_its_next_step(self) -> None:
        grid = self.grid()
        clean, noise, fresh = self._draws(3)
        last = self.num_steps
        moves = ((0, 1), (0, 3), (2, 3), (1, last - 1), (last - 2, last - 1), (0, last), (3, last))
        for step, next_step in moves:
            with self.leaves_alone(clean=clean, noise=noise):
                x = grid.noised(clean, noise, step)
            self.expect_shape(x, SHAPE, f"the state at step {step}")
            self.expect(x.dtype == clean.dtype, f"states of {clean.dtype}", x.dtype)
            with self.leaves_alone(x=x, denoised=clean):
                move = SolverStep(
                    step=step, next_step=next_step, previous=None, draw=_giving(fresh)
                )
                came = grid.advance(x, clean, move)
            self.expect_shape(came, SHAPE, f"the state after the move {step} -> {next_step}")
            self.expect(came.dtype == x.dtype, f"states of {x.dtype}, as handed over", came.dtype)
            nothing = torch.zeros_like(clean)
            rest = came - grid.noised(clean, nothing, next_step)
            wanted = float(grid.noised(nothing, torch.ones_like(clean), next_step).mean())
            deviation = float(rest.square().mean().sqrt())
            allowed = self.end_tolerance if next_step == last else 0.05 * wanted + 1e-3
            self.expect(
                abs(deviation - wanted) <= allowed,
                f"noise {wanted:.4g} after the move {step} -> {next_step}", f"{deviation:.4g}",
            )  # fmt: skip
            again = grid.advance(grid.noised(clean, noise, step), clean, move)
            self.expect(
                torch.equal(came, again), "randomness from move.draw() alone", "another result"
            )
            one = replace(move, draw=_giving(fresh[-1:]))
            alone = grid.advance(x[-1:], clean[-1:], one)
            error = relative_error(alone, came[-1:])
            self.expect(error < 1e-4, "a row's move from that row alone", error)

    def test_every_solver_that_it_names_walks_to_the_end(self) -> None:
        grid = self.grid()
        names = tuple(getattr(grid, "solvers", ()))
        clean, noise, fresh = self._draws(3)
        x = grid.noised(clean, noise, 1)
        move = SolverStep(step=1, next_step=4, previous=(0, 0.5 * clean), draw=_giving(fresh))
        before = grid.advance(x, clean, move)
        for name in names:
            other = grid.with_solver(name)  # type: ignore[attr-defined]
            self.expect(
                torch.equal(grid.advance(x, clean, move), before),
                "with_solver to answer with another sampler and leave this one alone",
                f"a sampler that {name!r} has changed",
            )
            last = replace(move, step=4, next_step=self.num_steps, previous=(1, clean))
            state = other.noised(clean, noise, 4)
            error = relative_error(other.advance(state, clean, last), clean)
            self.expect(error < self.end_tolerance, f"{name} to end at the clean state", error)

    def test_keeps_nothing_between_moves(self) -> None:
        clean, noise, fresh, other = self._draws(4)
        for grid in self.grids():
            x = grid.noised(clean, noise, 2)
            before = 0.5 * clean
            move = SolverStep(step=2, next_step=4, previous=(1, before), draw=_giving(fresh))
            with self.leaves_alone(previous=before):
                alone = grid.advance(x, clean, move).clone()
            # Rows of another request, with another past, on the same grid.
            there = replace(move, step=1, next_step=2, previous=(0, other))
            with self.leaves_alone(previous=other):
                grid.advance(grid.noised(other, noise, 1), 2 * other, there)
            self.expect(
                torch.equal(grid.advance(x, clean, move), alone),
                "the same move after those of other rows (a past is in the move, not on self)",
                "another state",
            )

    def test_states_are_as_exact_as_latents(self) -> None:
        clean, noise, fresh = self._draws(3)
        for kind in (torch.float16, torch.bfloat16):
            for grid in self.grids():
                move = SolverStep(
                    step=2, next_step=4, previous=(1, clean.to(kind)), draw=_giving(fresh.to(kind))
                )
                x = grid.noised(clean.to(kind), noise.to(kind), 2)
                for came in (x, grid.advance(x, clean.to(kind), move)):
                    self.expect(came.dtype == kind, f"states of {kind}, as the latents", came.dtype)

    def test_a_steady_estimate_makes_the_past_irrelevant(self) -> None:
        clean, noise, fresh = self._draws(3)
        for grid, (step, next_step) in product(self.grids(), ((2, 3), (3, 6))):
            x = grid.noised(clean, noise, step)
            pasts = ((None, None), ((step - 1, clean), None), ((step - 1, clean), (0, clean)))
            alone, *after = (
                grid.advance(
                    x,
                    clean,
                    SolverStep(
                        step=step,
                        next_step=next_step,
                        previous=previous,
                        earlier=earlier,
                        draw=_giving(fresh),
                    ),
                )
                for previous, earlier in pasts
            )
            error = max(relative_error(moved, alone) for moved in after)
            self.expect(
                error < 1e-3, "the same move with a past that estimated the same (previous)", error
            )

    def test_the_past_does_not_make_a_walk_worse(self) -> None:
        for grid in self.grids(4 * self.num_steps):
            without, with_past = (self._walked(grid, moves=moves) for moves in (0, 2))
            self.expect(
                with_past <= 1.1 * without + 0.02,
                f"a walk with its past to end as well as one without (off by {without:.3f})",
                f"off by {with_past:.3f}",
            )

    def _walked(self, grid: Sampler, *, moves: int) -> float:
        """Deviation of what a walk makes of Gaussian data of unit variance, against 1.

        moves: how many of its last ones it is told.
        """
        nothing, one = torch.zeros(SHAPE), torch.ones(SHAPE)
        noise, *_ = self._draws(1)
        x = grid.noised(torch.zeros_like(noise), noise, 0)
        past: list[tuple[int, Tensor]] = []
        for position, step in enumerate(range(0, grid.num_steps, 2)):
            signal = float(grid.noised(one, nothing, step).mean())
            level = float(grid.noised(nothing, one, step).mean())
            estimate = x * (signal / (signal**2 + level**2))
            fresh = self._draws(1, seed=100 + position)[0]
            move = SolverStep(
                step=step,
                next_step=step + 2,
                previous=past[0] if past else None,
                earlier=past[1] if len(past) > 1 else None,
                draw=_giving(fresh),
            )
            x = grid.advance(x, estimate, move)
            past = [(step, estimate), *past][:moves]
        return abs(float(x.square().mean().sqrt()) - 1)
