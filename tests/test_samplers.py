"""Noise schedules against diffusers' solver, the papers' formulas and exact solutions."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.protocols import SolverStep
from sphinx_framework.samplers import SigmaSampler, corrected, karras_sigmas

SOLVERS = ("euler", "dpmpp_2m", "unipc")


def denoiser(x, sigma):
    """Some smooth denoiser whose answer changes along the walk."""
    return torch.tanh(x / math.sqrt(1 + sigma**2)) * 0.7 + 0.1 * math.cos(sigma)


def walk(schedule, x, visited, denoise=denoiser):
    """Run the schedule's solver over the visited steps, with the history that it asks for."""
    previous = earlier = None
    for step, next_step in pairwise(visited):
        denoised = denoise(x, schedule.sigmas[step])
        move = SolverStep(
            step=step,
            next_step=next_step,
            previous=previous,
            earlier=earlier,
            draw=lambda: torch.zeros(1),
        )
        x = schedule.advance(x, denoised, move)
        previous, earlier = (step, denoised), previous
    return x


def some_state(sigma):
    generator = torch.Generator().manual_seed(0)
    return sigma * torch.randn(2, 3, 4, 4, generator=generator)


def their_scheduler(diffusers, solver):
    """The scheduler of diffusers that is meant to be the same solver."""
    if solver == "unipc":
        return diffusers.UniPCMultistepScheduler(
            solver_order=2, prediction_type="sample", final_sigmas_type="zero"
        )
    return diffusers.DPMSolverMultistepScheduler(
        algorithm_type="dpmsolver++",
        solver_order=1 if solver == "euler" else 2,
        solver_type="midpoint",
        prediction_type="sample",
        lower_order_final=False,
        final_sigmas_type="zero",
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("stride", [1, 4, 7])
def test_the_walk_is_that_of_diffusers(solver, stride):
    diffusers = pytest.importorskip("diffusers", exc_type=ImportError)
    sigmas = karras_sigmas(20, 0.02, 8.0)
    visited = [*range(0, 20, stride), 20]
    levels = sigmas[visited].float()
    theirs = their_scheduler(diffusers, solver)
    theirs.set_timesteps(len(visited) - 1)
    theirs.sigmas = levels
    theirs.set_begin_index(0)
    x = some_state(8.0)
    # Their state is variance-preserving: ours times 1 / sqrt(1 + sigma**2).
    scaled = x / (1 + levels[0] ** 2).sqrt()
    for timestep, sigma in zip(theirs.timesteps, levels, strict=False):
        state = scaled * (1 + sigma**2).sqrt()
        scaled = theirs.step(denoiser(state, float(sigma)), timestep, scaled).prev_sample

    ours = walk(SigmaSampler(sigmas, solver), x, visited)

    torch.testing.assert_close(ours, scaled, rtol=1e-4, atol=1e-4)


def test_euler_is_the_textbook_step():
    schedule = SigmaSampler(torch.tensor([4.0, 1.0, 0.0]), "euler")
    x, denoised = torch.tensor([3.0]), torch.tensor([1.0])
    move = SolverStep(step=0, next_step=1, previous=None, draw=lambda: x)
    slope = (x - denoised) / 4.0
    torch.testing.assert_close(schedule.advance(x, denoised, move), x + slope * (1.0 - 4.0))


def test_two_step_extrapolation_follows_the_paper():
    """Lu et al. 2022, algorithm 2 (2M), data prediction, written out for three levels."""
    levels = [5.0, 2.0, 0.7, 0.0]
    schedule = SigmaSampler(torch.tensor(levels), "dpmpp_2m")
    x, now, before = torch.tensor([1.3]), torch.tensor([0.4]), torch.tensor([-0.2])
    move = SolverStep(step=1, next_step=2, previous=(0, before), draw=lambda: x)

    lam = [-math.log(level) for level in levels[:3]]
    h, h_before = lam[2] - lam[1], lam[1] - lam[0]
    r = h_before / h
    d = (1 + 1 / (2 * r)) * now - 1 / (2 * r) * before
    expected = levels[2] / levels[1] * x - (math.exp(-h) - 1) * d

    torch.testing.assert_close(schedule.advance(x, now, move), expected)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_last_step_lands_on_the_prediction(solver):
    schedule = SigmaSampler(torch.tensor([2.0, 1.0, 0.0]), solver)
    denoised = some_state(1.0)
    move = SolverStep(
        step=1, next_step=2, previous=(0, some_state(3.0)), draw=lambda: some_state(1.0)
    )
    assert torch.equal(schedule.advance(some_state(9.0), denoised, move), denoised)


@pytest.mark.parametrize("solver", SOLVERS)
@given(stride=st.integers(1, 9), start=st.integers(0, 8))
def test_a_perfect_denoiser_is_recovered_from_any_start_at_any_stride(solver, stride, start):
    schedule = SigmaSampler(karras_sigmas(10, 0.02, 8.0), solver)
    clean = torch.linspace(-1, 1, 5)
    x = schedule.noised(clean, torch.ones(5), start)
    visited = [*range(start, 10, stride), 10]
    torch.testing.assert_close(walk(schedule, x, visited, lambda _, __: clean), clean)


def test_the_multistep_solver_is_more_accurate_with_few_steps():
    """Gaussian data: the exact denoiser and the exact flow are known in closed form."""
    variance, sigmas = 0.25, karras_sigmas(12, 0.02, 8.0).tolist()

    def exact(x, sigma):
        return x * variance / (variance + sigma**2)

    x = some_state(8.0)
    truth = x * math.sqrt(variance / (variance + 8.0**2))
    errors = {
        solver: float(
            (walk(SigmaSampler(torch.tensor(sigmas), solver), x, range(13), exact) - truth)
            .abs()
            .max()
        )
        for solver in SOLVERS
    }
    assert errors["dpmpp_2m"] < 0.5 * errors["euler"]
    assert errors["unipc"] < 0.8 * errors["dpmpp_2m"]


def test_a_correction_of_an_estimate_that_did_not_change_changes_nothing():
    x, same = some_state(2.0), some_state(1.0)
    levels = [-math.log(sigma) for sigma in (0.7, 2.0, 5.0)]
    assert torch.equal(corrected(x, [same, same, same], levels), x)
    assert torch.equal(corrected(x, [same, same], [0.3, -math.inf]), x)


@given(sigma=st.floats(0.01, 5), gap=st.floats(0.01, 3), before=st.floats(0.01, 3))
def test_the_corrector_meets_its_order_conditions(sigma, gap, before):
    """Of order 2: exact for predictions that are linear in the level, so is a move by it."""
    now = -math.log(sigma)
    last, first = now - gap, now - gap - before
    line = [torch.tensor([0.3 + 0.8 * at], dtype=torch.float64) for at in (now, last, first)]
    # The exact move from `last`, and the predictor's, of a state of 0 there, in data prediction.
    growth = -math.expm1(-gap)
    exact = growth * line[1] + 0.8 * (gap - growth)
    slope = (line[1] - line[2]) / before
    predicted = growth * (line[1] + 0.5 * gap * slope)
    found = corrected(predicted, line, [now, last, first])
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-7)


def test_states_are_clean_plus_sigma_noise_and_clean_at_the_end():
    schedule = SigmaSampler(torch.tensor([3.0, 1.0, 0.0]))
    clean, noise = some_state(1.0), some_state(2.0)
    torch.testing.assert_close(schedule.noised(clean, noise, 0), clean + 3 * noise)
    assert torch.equal(schedule.noised(clean, noise, schedule.num_steps), clean)


@pytest.mark.parametrize("solver", SOLVERS)
@given(temperature=st.floats(0.05, 1), start=st.sampled_from([0, 20]))
def test_a_colder_walk_ends_that_much_nearer_to_the_mean(solver, temperature, start):
    """A posterior N(mean, 0.5^2): the network knows it, and is told the level of the full noise."""
    mean, variance = 0.3, 0.25
    sigmas = karras_sigmas(60, 0.005, 30.0)

    def exact(x, sigma):
        return mean + (x - mean) * variance / (variance + sigma**2)

    def spread(warm):
        schedule = SigmaSampler(sigmas, solver, warm)
        x = schedule.noised(torch.full((1,), mean), torch.ones(1), start)
        return float(walk(schedule, x, range(start, 61), exact)) - mean

    assert spread(temperature) == pytest.approx(temperature * spread(1.0), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("temperature", [0.0, -0.5, 1.01, float("nan")])
def test_a_temperature_outside_of_its_range_is_refused(temperature):
    with pytest.raises(ValueError, match=r"in \(0, 1\]"):
        SigmaSampler(torch.tensor([1.0, 0.0]), temperature=temperature)


@pytest.mark.parametrize("levels", [[1.0, 2.0, 0.0], [1.0, 1.0, 0.0], [2.0, 1.0], [0.0, 0.0]])
def test_levels_that_do_not_descend_to_zero_are_refused(levels):
    with pytest.raises(ValueError, match="strictly descending and end in 0"):
        SigmaSampler(torch.tensor(levels))


@given(num_steps=st.integers(2, 100), low=st.floats(0.001, 0.1), high=st.floats(1, 700))
def test_karras_levels_run_from_max_to_min_and_then_to_zero(num_steps, low, high):
    sigmas = karras_sigmas(num_steps, low, high)
    assert len(sigmas) == num_steps + 1
    assert float(sigmas[0]) == pytest.approx(high)
    assert float(sigmas[-2]) == pytest.approx(low)
    assert SigmaSampler(sigmas).num_steps == num_steps


def test_karras_levels_are_evenly_spaced_in_their_seventh_root():
    roots = karras_sigmas(9, 0.02, 8.0)[:-1] ** (1 / 7)
    gaps = roots.diff()
    torch.testing.assert_close(gaps, gaps[0].expand(8))


def test_a_grid_of_one_step_is_possible():
    assert SigmaSampler(karras_sigmas(1, 0.02, 8.0)).num_steps == 1
