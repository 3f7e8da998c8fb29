"""Laws of the DDIM schedule and of guidance."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from sphinx_framework.errors import ConfigError
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.protocols import SolverStep
from sphinx_framework_viewcrafter.config import DiffusionConfig
from sphinx_framework_viewcrafter.guidance import Guidance
from sphinx_framework_viewcrafter.sampler import DdimSampler, timesteps
from sphinx_framework_viewcrafter.training_schedule import TrainingSchedule

TRAINING = TrainingSchedule.from_config(DiffusionConfig())


def state(seed: int) -> torch.Tensor:
    return torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(seed))


def no_noise() -> torch.Tensor:
    raise AssertionError("a deterministic move must not draw noise")


@settings(deadline=None)
@given(count=st.integers(1, 300))
def test_trailing_grids_start_at_the_last_training_step_and_descend(count: int) -> None:
    grid = timesteps(count, 1000, "uniform_trailing")
    assert len(grid) == count
    assert grid[0] == 999
    assert grid == sorted(set(grid), reverse=True)
    assert grid[-1] >= 0


@settings(deadline=None)
@given(count=st.integers(1, 200), eta=st.sampled_from([0.3, 1.0]))
def test_the_first_move_is_finite_for_every_number_of_steps(count: int, eta: float) -> None:
    grid = DdimSampler(count, TRAINING, eta=eta)
    move = SolverStep(step=0, next_step=1, previous=None, draw=lambda: state(3))
    assert torch.isfinite(grid.advance(state(1), state(2), move)).all()


@settings(deadline=None)
@given(data=st.data())
def test_without_fresh_noise_a_perfect_prediction_keeps_signal_and_noise_apart(
    data: st.DataObject,
) -> None:
    grid = DdimSampler(data.draw(st.integers(2, 60)), TRAINING, eta=0.0)
    step = data.draw(st.integers(0, grid.num_steps - 2))
    later = data.draw(st.integers(step + 1, grid.num_steps - 1))
    clean, noise = state(1), state(2)
    move = SolverStep(step=step, next_step=later, previous=None, draw=no_noise)
    moved = grid.advance(grid.noised(clean, noise, step), clean, move)
    torch.testing.assert_close(moved, grid.noised(clean, noise, later), rtol=1e-4, atol=1e-4)


@settings(deadline=None)
@given(step=st.integers(0, 49))
def test_v_prediction_inverts_the_noising(step: int) -> None:
    grid = DdimSampler(50, TRAINING)
    clean, noise = state(1), state(2)
    alpha, shrunk = grid.alphas[step], grid.scales[step] * clean
    v = alpha**0.5 * noise - (1 - alpha) ** 0.5 * shrunk
    found = grid.denoised(grid.noised(clean, noise, step), v, step)
    torch.testing.assert_close(found, clean, rtol=1e-4, atol=1e-5)


def test_noising_to_the_end_of_the_grid_is_the_clean_state() -> None:
    grid = DdimSampler(8, TRAINING)
    assert torch.equal(grid.noised(state(1), state(2), 8), state(1))


def test_the_first_step_is_pure_noise() -> None:
    grid = DdimSampler(8, TRAINING)
    assert torch.equal(grid.noised(state(1), state(2), 0), state(2))


@pytest.mark.parametrize(("final", "left"), [("sample", True), ("denoised", False)])
def test_the_last_move_leaves_a_trace_of_noise_unless_the_prediction_is_asked_for(
    final: str, left: bool
) -> None:
    grid = DdimSampler(8, TRAINING, final=final)  # type: ignore[arg-type]
    move = SolverStep(step=7, next_step=8, previous=None, draw=lambda: state(3))
    moved = grid.advance(state(1), state(2), move)
    assert torch.equal(moved, state(2)) != left
    assert (moved - state(2)).std() < 0.1


@pytest.mark.parametrize(
    ("count", "spacing"), [(0, "uniform_trailing"), (1001, "uniform_trailing"), (30, "uniform")]
)
def test_a_grid_that_does_not_exist_is_refused_with_advice(count: int, spacing: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DdimSampler(count, TRAINING, spacing=spacing)  # type: ignore[arg-type]
    assert caught.value.hint


def test_the_dynamic_rescale_can_be_switched_off() -> None:
    tables = TrainingSchedule.from_config(DiffusionConfig(dynamic_rescale=False))
    assert torch.equal(tables.scales, torch.ones_like(tables.scales))


def test_without_zero_terminal_snr_the_last_step_keeps_some_signal() -> None:
    tables = TrainingSchedule.from_config(DiffusionConfig(zero_terminal_snr=False))
    assert tables.alphas_cumprod[-1] > 0
    assert TRAINING.alphas_cumprod[-1] == 0


def test_full_rescale_gives_the_guided_clip_the_conditional_deviation() -> None:
    unconditional, conditional = state(1), state(2)
    guided = Guidance(7.5, 1.0, 4)(unconditional, conditional, DenseExecutor(2))
    torch.testing.assert_close(guided.std(), conditional.std(), rtol=1e-5, atol=0.0)


def test_guidance_of_constant_predictions_is_finite() -> None:
    zero = torch.zeros(2, 4, 3, 3)
    assert torch.isfinite(Guidance(7.5, 0.7, 4)(zero, zero, DenseExecutor(2))).all()


def walked(count: int, solver: str, stride: int = 1) -> torch.Tensor:
    """Where a walk from 0.3 of the grid on ends, for normal data, whose best guess is known."""
    grid = DdimSampler(count, TRAINING, eta=0.0, final="sample", solver=solver)
    x, previous, earlier = state(5), None, None
    for step in range(3 * count // 10, count, stride):
        alpha, scale = grid.alphas[step], grid.scales[step]
        signal = math.sqrt(alpha) * scale
        clean = 0.25 * signal * x / (0.25 * signal**2 + 1 - alpha)
        onwards = min(step + stride, count)
        move = SolverStep(
            step=step, next_step=onwards, previous=previous, earlier=earlier, draw=no_noise
        )
        x, previous, earlier = grid.advance(x, clean, move), (step, clean), previous
    return x


def test_the_multistep_solver_goes_further_with_few_steps() -> None:
    """Its error falls faster than that of a solver of first order, and is smaller from 10 on."""
    exact = walked(1000, "dpmpp_2m")
    errors = {
        solver: [float((walked(n, solver) - exact).abs().mean()) for n in (10, 20, 100)]
        for solver in ("ddim", "dpmpp_2m", "unipc")
    }
    first, second, third = errors["ddim"], errors["dpmpp_2m"], errors["unipc"]
    assert all(c < b for b, c in zip(second[:2], third[:2], strict=True))
    assert third[1] / third[2] > 2 * first[1] / first[2]
    assert all(b < a for a, b in zip(first, second, strict=True))
    assert first[1] / first[2] < 5.5  # a fifth of the stride
    assert second[1] / second[2] > 2 * first[1] / first[2]


@pytest.mark.parametrize("solver", ["dpmpp_2m", "unipc"])
def test_the_multistep_solver_walks_any_part_of_a_grid(solver: str) -> None:
    strided = walked(50, solver, stride=5)
    assert torch.isfinite(strided).all()
    exact = walked(1000, "ddim")
    plain = walked(50, "ddim", stride=5)
    assert float((strided - exact).abs().mean()) < float((plain - exact).abs().mean())


def test_all_solvers_make_the_same_first_move() -> None:
    moves = [
        DdimSampler(10, TRAINING, eta=0.0, solver=solver).advance(
            state(1), state(2), SolverStep(step=3, next_step=5, previous=None, draw=no_noise)
        )
        for solver in ("ddim", "dpmpp_2m", "unipc")
    ]
    assert torch.equal(*moves[:2])
    assert torch.equal(*moves[1:])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stride", [1, 3])
def test_unipc_walks_as_that_of_diffusers_by_v_prediction_from_pure_noise(stride: int) -> None:
    diffusers = pytest.importorskip("diffusers", exc_type=ImportError)
    training = TrainingSchedule.from_config(DiffusionConfig(dynamic_rescale=False))
    grid = DdimSampler(12, training, solver="unipc")
    visited = [*range(0, 12, stride)]
    theirs = diffusers.UniPCMultistepScheduler(solver_order=2, prediction_type="v_prediction")
    theirs.set_timesteps(len(visited))
    alphas = torch.tensor([grid.alphas[step] for step in visited] + [grid.end_alpha])
    # Their signal at the noisiest level is 2^-12, ours is none.
    theirs.sigmas = ((1 - alphas) / alphas.clamp(min=2**-24)).sqrt()
    theirs.set_begin_index(0)

    def network(x: torch.Tensor, step: int) -> torch.Tensor:
        return 0.6 * torch.tanh(x) - 0.02 * step

    x = scaled = state(6)
    past: list[tuple[int, torch.Tensor]] = []
    for step, timestep, onwards in zip(visited, theirs.timesteps, [*visited[1:], 12], strict=True):
        clean = grid.denoised(x, network(x, step), step)
        previous, earlier = [*past, None, None][:2]
        move = SolverStep(
            step=step, next_step=onwards, previous=previous, earlier=earlier, draw=no_noise
        )
        x, past = grid.advance(x, clean, move), [(step, clean), *past]
        scaled = theirs.step(network(scaled, step), timestep, scaled).prev_sample
        # From step 2 of the walk on they look back at pure noise, where we begin anew.
        if len(past) == 2:
            scaled = x
            theirs.model_outputs = [None, clean]
            theirs.lower_order_nums, theirs.this_order = 1, 1
        torch.testing.assert_close(x, scaled, rtol=2e-3, atol=2e-3)


def test_a_plan_may_choose_the_solver() -> None:
    grid = DdimSampler(10, TRAINING)
    assert grid.solvers == ("ddim", "euler", "dpmpp_2m", "unipc")
    assert grid.with_solver("dpmpp_2m").solver == "dpmpp_2m"
    assert grid.solver == "ddim"
    with pytest.raises(ValueError, match="no solver 'heun'"):
        grid.with_solver("heun")
