"""Mistakes that authors of samplers make, planted into the fakes' sampler."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from planted_mistakes import Change

from sphinx_framework.protocols import SolverStep
from sphinx_framework.samplers import SigmaSampler


def sampler_of(change: Callable[[SigmaSampler, Any, Any, SolverStep], Any]) -> Change:
    """A sampler whose ``advance`` is ``change(sampler, x, denoised, move)``."""

    def changed(fake, make, state, num_steps):
        class Wrong(SigmaSampler):
            def advance(self, x, denoised, move):
                return change(self, x, denoised, move)

        return Wrong(torch.tensor(make(num_steps).sigmas), "dpmpp_2m")

    return changed


def right(sampler: SigmaSampler, x: Any, denoised: Any, move: SolverStep) -> Any:
    return SigmaSampler.advance(sampler, x, denoised, move)


def never_clean(fake, make, state, num_steps):
    schedule = make(num_steps)
    schedule.sigmas[-1] = 0.3
    return schedule


def stuck(sampler, x, denoised, move):
    return x


def one_step_only(sampler, x, denoised, move):
    return right(sampler, x, denoised, replace(move, next_step=move.step + 1))


def past_of_the_wrong_sign(sampler, x, denoised, move):
    if move.previous is None:
        return right(sampler, x, denoised, move)
    return right(sampler, x, denoised + 0.5 * move.previous[1], replace(move, previous=None))


def past_too_strong(sampler, x, denoised, move):
    if move.previous is None:
        return right(sampler, x, denoised, move)
    far = denoised + 8 * (denoised - move.previous[1])
    return right(sampler, x, far, replace(move, previous=None))


def noise_of_its_own(sampler, x, denoised, move):
    landed = right(sampler, x, denoised, move)
    return landed + 0.3 * sampler.sigmas[move.next_step] * torch.randn_like(x)


def too_much_noise(sampler, x, denoised, move):
    landed = right(sampler, x, denoised, move)
    return landed + sampler.sigmas[move.next_step] * move.draw()


def level_of_the_step_before(sampler, x, denoised, move):
    ratio = sampler.sigmas[max(move.next_step - 1, 0)] / sampler.sigmas[move.step]
    return ratio * x + (1 - ratio) * denoised


def in_place(sampler, x, denoised, move):
    return x.copy_(right(sampler, x, denoised, move))


def in_double(sampler, x, denoised, move):
    return right(sampler, x, denoised, move).double()
