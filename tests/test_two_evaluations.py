"""Solvers of two evaluations a step fit the protocol as a grid of evaluations."""

import pytest
import torch
from engines import CPU
from midpoint import MidpointSampler

from sphinx_framework.protocols import SolverStep
from sphinx_framework.samplers import SigmaSampler, karras_sigmas
from sphinx_framework.testing.contracts import DiffusionContract
from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion, fake_scene
from sphinx_framework.testing.pipeline import fake_engine


class MidpointDiffusion(FakeDiffusion):
    def sampler(self, num_steps):
        if num_steps % 2:
            return SigmaSampler(karras_sigmas(num_steps, 0.02, 8.0))
        return MidpointSampler(karras_sigmas(num_steps // 2, 0.02, 8.0))


class TestAModelWithAMidpointSolver(DiffusionContract):
    def make(self):
        return MidpointDiffusion(FakeConfig(), CPU)


def deviation(sampler) -> float:
    """What a walk over the whole grid makes of Gaussian data of unit variance."""
    x = sampler.noised(torch.zeros(1), torch.ones(1), 0)
    past = None
    for step in range(sampler.num_steps):
        estimate = x / (1 + sampler.sigmas[step] ** 2)
        move = SolverStep(step=step, next_step=step + 1, previous=past, draw=lambda: torch.ones(1))
        x, past = sampler.advance(x, estimate, move), (step, estimate)
    # Exactly: a state of sigma_max times the noise ends at sigma_max / sqrt(1 + sigma_max^2).
    return abs(float(x) - 8 / 65**0.5)


def test_equal_evaluations_of_a_midpoint_solver_end_nearer_than_eulers():
    euler = deviation(SigmaSampler(karras_sigmas(40, 0.002, 8.0)))
    midpoint = deviation(MidpointSampler(karras_sigmas(20, 0.002, 8.0)))
    assert midpoint < 0.2 * euler


def test_the_engine_brings_the_first_estimate_to_the_midpoint(monkeypatch):
    seen = []
    advance = MidpointSampler.advance

    def watched(self, x, denoised, move):
        seen.append((move.step, None if move.previous is None else move.previous[0]))
        return advance(self, x, denoised, move)

    monkeypatch.setattr(MidpointSampler, "advance", watched)
    engine = fake_engine(num_steps=6)
    monkeypatch.setattr(type(engine.components.diffusion), "sampler", MidpointDiffusion.sampler)
    engine.render(fake_scene(), mode="diffusion", seed=0)
    walked = [pair for pair in seen if pair[1] is not None or pair[0] == 0]
    assert walked[-6:] == [(0, None), (1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_midpoint_without_its_past_takes_a_plain_step(step):
    sampler = MidpointSampler(karras_sigmas(4, 0.02, 8.0))
    x, clean = torch.full((2,), 3.0), torch.ones(2)
    move = SolverStep(step=step, next_step=step + 1, previous=None, draw=lambda: x)
    ratio = sampler.sigmas[step + 1] / sampler.sigmas[step]
    torch.testing.assert_close(sampler.advance(x, clean, move), ratio * x + (1 - ratio) * clean)
