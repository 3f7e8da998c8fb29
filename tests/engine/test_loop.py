"""The refine loop against an independent rendering of the reference loop, and its solvers."""

import pytest
import torch
from engines import CPU
from goldens import golden
from reference_rule import full_pass_rule
from stale_oracle import StaleOracle

from sphinx_framework.engine.loop import Refinement
from sphinx_framework.engine.scheduler import answered
from sphinx_framework.errors import StaleCacheError
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.policy.plan import PlanConfig, plan
from sphinx_framework.policy.schedule import Full, Partial, Schedule
from sphinx_framework.protocols import SolverStep
from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion
from sphinx_framework.testing.oracle import relative_error


def reference_loop(model, x0, noise, k, is_input, condition, num_steps, rule):
    """The authors' partial denoising (Sphinx's Algorithm 1), frame-granular.

    rule: full passes are every ``rule[0]`` steps, and all of them from step ``rule[1]`` on.
    Full passes move all frames; partial steps move the active ones and re-noise all others. The
    network runs under the brute-force oracle: no executor, cache or schedule of ours takes part.
    """
    sigmas = model.sampler(num_steps).sigmas
    oracle = StaleOracle(len(x0))
    start = min(step for step, given in zip(k, is_input, strict=True) if not given)
    x = x0 + noise * sigmas[start]
    states = {}
    for i in range(start, num_steps):
        states[i] = x
        active = [frame for frame in range(len(k)) if k[frame] <= i]
        full = i % rule[0] == 0 or i >= rule[1]
        denoised = model.denoise(x, i, condition, oracle.full() if full else oracle.frames(active))
        stepped = x + (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i])
        if full:
            x = stepped
        else:
            x = x0 + noise * sigmas[i + 1]
            x[active] = stepped[active]
    return x, states


def fake_model(solver="euler"):
    return FakeDiffusion(FakeConfig(seed=3, solver=solver), CPU)


def random_state(frames, size=(8, 6)):
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(frames, 8, *size, generator=generator)
    noise = torch.randn(frames, 8, *size, generator=generator)
    return clean, noise, torch.randn(frames, 1, *size, generator=generator)


def refinement(model, schedule, clean, noise, condition):
    return Refinement(
        model=model,
        schedule=schedule,
        sampler=model.sampler(schedule.num_steps),
        clean=clean,
        noise=noise,
        condition=condition,
        draw=lambda step: torch.zeros_like(clean),
    )


def finished(model, schedule, *state):
    loop = refinement(model, schedule, *state)
    moves = list(answered(loop.run()))
    return loop, moves


def golden_case():
    fixture = golden("sphinx_partial_frames")
    info, is_input = fixture.info, fixture.tensors["in/input_frame_mask"].tolist()
    return info["start_steps"], is_input, info["num_steps"], full_pass_rule(info)


def handmade_case():
    is_input = [True, False, False, False, False, False, True]
    return [40, 10, 10, 35, 20, 40, 40], is_input, 50, (5, 40)


@pytest.mark.parametrize("case", [golden_case, handmade_case])
def test_the_reference_schedule_reproduces_the_reference_loop(case):
    k, is_input, num_steps, rule = case()
    every, tail = rule
    config = PlanConfig(
        refresh_every=every, full_tail=num_steps - tail, input_start=tail, max_start=tail
    )
    model = fake_model()
    clean, noise, condition = random_state(len(k))
    slots = [None if given else start for start, given in zip(k, is_input, strict=True)]
    with torch.no_grad():
        expected, states = reference_loop(
            model, clean, noise, k, is_input, condition, num_steps, rule
        )
    loop = refinement(model, plan("fine", slots, num_steps, config), clean, noise, condition)

    for move in answered(loop.run()):
        following = states.get(move.action.step + 1, expected)
        active = list(move.action.frames)
        assert relative_error(loop.x[active], following[active]) < 1e-4

    assert relative_error(loop.x, expected) < 1e-4


def test_the_loop_calls_the_network_once_per_action_with_the_planned_rows():
    model = fake_model()
    region = torch.zeros(3, 4, 3, dtype=torch.bool)
    region[0, 1, 1] = region[1, :2, 0] = True
    schedule = plan("selective", [40, 43, 50], 50, PlanConfig(refresh_every=6), region)

    _, moves = finished(model, schedule, *random_state(3))

    rows = {"F": 3, "D": 3}
    expected = [rows.get(a.text()[0], int(region[list(a.frames)].sum())) for a in schedule.actions]
    assert model.calls == [(a.step, n) for a, n in zip(schedule.actions, expected, strict=True)]
    assert [move.rows for move in moves] == expected
    assert {move.kind for move in moves} == {"full", "tiles"}


@pytest.mark.parametrize("solver", ["euler", "dpmpp_2m"])
def test_all_frames_from_step_0_is_plain_sampling_from_noise(solver):
    model = fake_model(solver)
    clean, noise, condition = random_state(3)
    grid = model.sampler(20)
    x, previous = grid.noised(torch.zeros_like(clean), noise, 0), None
    with torch.no_grad():
        for step in range(20):
            denoised = model.denoise(x, step, condition, DenseExecutor(3))
            sigma, following = grid.sigmas[step], grid.sigmas[step + 1]
            estimate = denoised
            if solver == "dpmpp_2m" and previous is not None and following > 0:
                lam = -torch.tensor([grid.sigmas[step - 1], sigma, following]).double().log()
                slope = float((lam[2] - lam[1]) / (2 * (lam[1] - lam[0])))
                estimate = (1 + slope) * denoised - slope * previous
            x = following / sigma * x + (1 - following / sigma) * estimate
            previous = denoised

    loop, _ = finished(model, plan("fine", [0, 0, 0], 20, PlanConfig()), clean, noise, condition)

    assert relative_error(loop.x, x) < 1e-5


def test_pure_noise_starts_from_nothing_of_the_coarse_latents():
    model = fake_model()
    clean, noise, condition = random_state(2)
    schedule = plan("diffusion", [0, 0], 10, PlanConfig())
    first, _ = finished(model, schedule, clean, noise, condition)
    second, _ = finished(model, schedule, clean + 7, noise, condition)
    assert torch.equal(first.x, second.x)


def test_only_frames_that_start_at_step_0_start_from_noise():
    clean, noise, condition = random_state(4)
    model = fake_model()
    schedule = plan("fine", [None, 0, 4, 10], 10, PlanConfig())
    expected = model.sampler(10).noised(clean, noise, 0)
    expected[1] -= clean[1]
    loop = refinement(model, schedule, clean, noise, condition)
    assert torch.allclose(loop.x, expected, atol=1e-5)


@pytest.mark.parametrize("solver", ["euler", "dpmpp_2m", "unipc"])
@pytest.mark.parametrize("mode", ["fine", "selective"])
def test_frames_that_never_advance_end_as_their_clean_latents(mode, solver):
    clean, noise, condition = random_state(4)
    region = torch.zeros(4, 4, 3, dtype=torch.bool)
    region[1, 0, 0] = region[2, 1, 1] = True
    schedule = plan(mode, [None, 30, 41, 50], 50, PlanConfig(), region)
    loop, _ = finished(fake_model(solver), schedule, clean, noise, condition)
    assert torch.equal(loop.x[[0, 3]], clean[[0, 3]])
    assert not torch.equal(loop.x[[1, 2]], clean[[1, 2]])


def test_cells_outside_of_the_region_end_clean_when_the_last_step_is_sparse():
    clean, noise, condition = random_state(2)
    region = torch.zeros(2, 4, 3, dtype=torch.bool)
    region[0, 1, 1] = True
    schedule = plan("selective", [30, 50], 50, PlanConfig(), region)
    loop, _ = finished(fake_model(), schedule, clean, noise, condition)
    inside = torch.zeros(2, 1, 8, 6, dtype=torch.bool)
    inside[0, :, 2:4, 2:4] = True
    assert torch.equal(torch.where(inside, clean, loop.x), clean)
    assert bool((loop.x != clean)[inside.expand_as(clean)].all())


class Pointwise(FakeDiffusion):
    """A denoiser that looks at nothing but the cell."""

    def denoise(self, x, step, condition, ops):
        return 0.8 * torch.tanh(x) + 0.01 * step


@pytest.mark.parametrize("solver", ["dpmpp_2m", "unipc"])
@pytest.mark.parametrize("late", [0, 1])
def test_a_frame_that_joins_later_starts_its_own_solver_history(late, solver):
    """Alone from step 12, a frame ends the same with and without one that started before."""
    clean, noise, condition = random_state(2)
    model, config = Pointwise(FakeConfig(solver=solver), CPU), PlanConfig(refresh_every=4)
    together, alone = [3, 3], [20, 20]
    together[late] = alone[late] = 12
    both, _ = finished(model, plan("fine", together, 20, config), clean, noise, condition)
    one, _ = finished(model, plan("fine", alone, 20, config), clean, noise, condition)
    first = plan("fine", [3, 3], 20, config)
    assert torch.equal(both.x[late], one.x[late])
    early, _ = finished(model, first, clean, noise, condition)
    assert torch.equal(both.x[1 - late], early.x[1 - late])


@pytest.mark.parametrize("solver", ["dpmpp_2m", "unipc"])
def test_cells_that_rejoin_at_a_full_step_have_been_clean_until_then(solver):
    """Two-step solver, tiles and refreshes, against a walk that treats every cell by itself."""
    clean, noise, condition = random_state(2)
    model = Pointwise(FakeConfig(solver=solver), CPU)
    region = torch.zeros(2, 4, 3, dtype=torch.bool)
    region[0, 1, 1] = True
    inside = region.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, None]
    grid = model.sampler(20)
    schedule = plan("selective", [8, None], 20, PlanConfig(refresh_every=4, full_tail=3), region)
    assert schedule.text() == "F8 S9[0] S10[0] S11[0] F12 S13[0] S14[0] S15[0] D16 D17 D18 D19"
    x, previous, earlier = grid.noised(clean, noise, 8), None, None
    for action in schedule.actions:
        denoised = model.denoise(x, action.step, condition, None)
        step = SolverStep(
            step=action.step,
            next_step=action.next_step,
            previous=previous,
            earlier=earlier,
            draw=lambda: noise,
        )
        moved = grid.advance(x, denoised, step)
        if isinstance(action, Partial):
            held = grid.noised(clean, noise, action.next_step)
            moved, denoised = torch.where(inside, moved, held), torch.where(inside, denoised, clean)
            if previous is not None:
                previous = previous[0], torch.where(inside, previous[1], clean)
        x, previous, earlier = moved, (action.step, denoised), previous

    loop, _ = finished(model, schedule, clean, noise, condition)

    assert relative_error(loop.x[0], x[0]) < 1e-5
    assert torch.equal(loop.x[1], clean[1])


def test_full_steps_that_nothing_reads_free_the_cache():
    model = fake_model()
    schedule = plan("fine", [0, 12, None], 20, PlanConfig(refresh_every=5, full_tail=4))
    loop, moves = finished(model, schedule, *random_state(3))
    assert moves[-1].action.text().startswith("D")
    assert loop.cache.num_bytes == 0
    assert loop.cache.bytes_peak > 0


def test_reading_a_cache_that_was_never_recorded_raises():
    schedule = Schedule(
        actions=(
            Full(step=0, next_step=1, frames=(0,), record=True),
            Partial(step=1, next_step=2, frames=(0,)),
        ),
        starts=(0, 2),
        num_steps=2,
    )
    loop = refinement(fake_model(), schedule, *random_state(2))
    running = answered(loop.run())
    next(running)
    loop.cache.clear()
    with pytest.raises(StaleCacheError):
        next(running)


def test_constants_of_a_request_are_shared_by_all_its_steps():
    made = []

    class WithConstant(FakeDiffusion):
        def denoise(self, x, step, condition, ops):
            bias = ops.constant("bias", lambda: made.append(step) or torch.ones(1))
            return super().denoise(x, step, condition, ops) + bias

    model = WithConstant(FakeConfig(), CPU)
    schedule = plan("fine", [0, 3, None], 10, PlanConfig())
    finished(model, schedule, *random_state(3))
    assert made == [0]
    finished(model, schedule, *random_state(3))
    assert made == [0, 0]
