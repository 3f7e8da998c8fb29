"""What a solver draws and looks back to is found out by trials, watched as one call."""

import pytest
import torch

from sphinx_framework.engine.denoising_answers import CheckedSampler
from sphinx_framework.engine.prepared import MOST_MOVES_BACK, needs
from sphinx_framework.errors import JobError
from sphinx_framework.policy.schedule import Full, Schedule
from sphinx_framework.samplers import SigmaSampler, karras_sigmas
from sphinx_framework.witness import Witness

STEPS = 4
MOVES = tuple(Full(step=step, next_step=step + 1, frames=(0,)) for step in range(STEPS))
SCHEDULE = Schedule(actions=MOVES, starts=(0,), num_steps=STEPS)


class Watched(Witness):
    """Counts how often a component is asked."""

    asks: list[str] = []

    def asked(self, stage, **handed):
        self.asks.append(stage)
        return super().asked(stage, **handed)


class Theirs(SigmaSampler):
    """A plugin's own: draws noise at odd steps."""

    def advance(self, x, denoised, move):
        if move.step % 2:
            move.draw()
        return super().advance(x, denoised, move)


def sampler(kind):
    return kind(karras_sigmas(STEPS, 0.1, 10.0), solver="euler")


@pytest.fixture
def watched():
    Watched.asks = []
    return Watched("diffusion", "mine")


def test_all_moves_of_a_plugins_sampler_are_one_call(watched):
    drawn, back = needs(CheckedSampler(sampler(Theirs), watched), SCHEDULE)
    assert (drawn, back) == (frozenset({1, 3}), 0)
    assert watched.asks == ["denoise"]


def test_our_own_solver_is_not_watched_but_its_answers_are(watched):
    checked = CheckedSampler(sampler(SigmaSampler), watched)
    assert needs(checked, SCHEDULE) == (frozenset(), 0)
    clean = torch.full((1, 1, 2, 2), float("nan"))
    with pytest.raises(JobError, match="diffusion 'mine': state at step 1 hold NaN"):
        checked.noised(clean, torch.zeros_like(clean), 1)
    with pytest.raises(JobError, match="diffusion 'mine' raised RuntimeError"):
        checked.noised(torch.zeros(1, 1, 2, 2), torch.zeros(3, 1, 5, 5), 1)
    assert watched.asks == []


def test_a_sampler_that_refuses_a_trial_is_taken_to_need_everything(watched):
    class Refusing(Theirs):
        def advance(self, x, denoised, move):
            raise SystemExit("no")

    found = needs(CheckedSampler(sampler(Refusing), watched), SCHEDULE)
    assert found == (frozenset(range(STEPS)), MOST_MOVES_BACK)
