"""Frames of one clip by plans of their own: each walks exactly the steps that its plan says."""

import pytest
import torch
from engines import CPU
from hypothesis import given, settings
from hypothesis import strategies as st

from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.loop import Refinement
from sphinx_framework.engine.scheduler import answered
from sphinx_framework.errors import ConfigError
from sphinx_framework.frame_plan import OWN, FramePlan, Walk, full_diffusion
from sphinx_framework.policy.plan import PlanConfig, plan
from sphinx_framework.policy.schedule import Full, Schedule
from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion, fake_scene
from sphinx_framework.testing.pipeline import fake_engine
from sphinx_framework.types import StartSteps

STEPS = 12
PLANS = st.builds(
    FramePlan,
    start=st.integers(0, STEPS),
    walk=st.builds(
        Walk,
        steps=st.none() | st.integers(1, STEPS),
        solver=st.sampled_from([None, "euler", "dpmpp_2m", "unipc"]),
    ),
)


class Alone(FakeDiffusion):
    """A network that looks at each frame by itself, so that a frame's company must not matter."""

    def denoise(self, x, step, condition, ops):
        return torch.tanh(x) * (0.5 + step / 40)


def refined(plans, rows, mode="fine", config=None):
    model = Alone(FakeConfig(seed=3), CPU)
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(6, 4, 3, 3, generator=generator)[rows] for _ in range(2))
    schedule = plan(
        mode,
        [p.start for p in plans],
        STEPS,
        config or PlanConfig(),
        walks=[p.walk for p in plans],
    )
    loop = Refinement(
        model=model,
        schedule=schedule,
        sampler=model.sampler(STEPS),
        clean=clean,
        noise=noise,
        condition=None,
        draw=lambda step: torch.zeros_like(clean),
    )
    list(answered(loop.run()))
    return loop.x, schedule


@settings(max_examples=60, deadline=None)
@given(plans=st.lists(PLANS, min_size=1, max_size=4))
def test_a_frame_of_stated_steps_ends_as_it_would_alone(plans):
    together, schedule = refined(plans, list(range(len(plans))))
    for row, own in enumerate(plans):
        alone, _ = refined([own], [row])
        mixed_in_walks = own.walk.steps is None and any(p.walk.steps is None for p in plans)
        if own.walk.steps is not None or mixed_in_walks:
            torch.testing.assert_close(together[row], alone[0], rtol=1e-4, atol=1e-5)
        if own.walk.steps is not None and own.start < STEPS:
            walked = sum(row in action.frames for action in schedule.actions)
            assert walked == own.cost(STEPS)


@settings(max_examples=60, deadline=None)
@given(plans=st.lists(PLANS, min_size=1, max_size=4))
def test_coarse_gives_every_frame_the_dearest_plan(plans):
    _, schedule = refined(plans, list(range(len(plans))), mode="coarse")
    dearest = max(p.cost(STEPS) for p in plans)
    assert len(schedule.actions) == dearest
    assert len(set(schedule.starts)) == 1


def test_frames_in_step_keep_the_cache_and_others_take_full_passes():
    _, nested = refined([FramePlan(0, Walk(4)), FramePlan(6, Walk(2))], [0, 1])
    assert nested.text() == "F0>3 P3>6[0] D6>9 D9>12"
    _, own = refined([FramePlan(0, Walk(2)), FramePlan(8, Walk(1))], [0, 1])
    assert own.text() == "D0>6 D6>8[0>12] D8>12"


def test_the_longest_walk_is_capped_and_full_diffusion_is_not():
    short = PlanConfig(max_steps=2)
    _, capped = refined([FramePlan(0, Walk(5))], [0], config=short)
    assert len(capped.actions) == 2
    _, full = refined([full_diffusion(STEPS)], [0], config=short)
    assert len(full.actions) == STEPS


def test_a_schedule_whose_frames_skip_their_own_steps_is_refused():
    def move(step, to, frames, ends=()):
        return Full(step=step, next_step=to, frames=frames, ends=ends)

    with pytest.raises(ValueError, match="is on its way"):
        Schedule(actions=(move(0, 1, (0,), (3,)), move(1, 3, (0, 1))), starts=(0, 1), num_steps=3)
    with pytest.raises(ValueError, match="drops a frame"):
        Schedule(
            actions=(move(0, 1, (0,), (2,)), move(1, 2, (1,)), move(2, 3, (1,))),
            starts=(0, 1),
            num_steps=3,
        )
    with pytest.raises(ValueError, match="one end per frame"):
        Schedule(actions=(move(0, 3, (0, 1), (3,)),), starts=(0, 0), num_steps=3)


class Given:
    """A step policy of given plans."""

    def __init__(self, *plans):
        self.plans = plans

    def start_steps(self, report, scene, quality, num_steps):
        return StartSteps(
            steps=tuple(p.start for p in self.plans), walks=tuple(p.walk for p in self.plans)
        )


def engine_of(*plans, **changes):
    from dataclasses import replace

    fakes = fake_engine(num_steps=STEPS, **changes)
    return Engine(replace(fakes.components, steps=Given(*plans)), fakes.config)


@pytest.mark.parametrize("mode", ["coarse", "fine", "selective"])
def test_plans_of_full_diffusion_are_mode_diffusion_bit_for_bit(mode):
    """Whatever bounds, masks and guards the pipeline has for the method."""
    strict = {
        "plan": {"max_steps": 2, "refresh_every": 3},
        "evidence": {"min_opacity": 1.0, "least": 1.0, "tolerance": 0.001},
    }
    whole = engine_of(*[full_diffusion(STEPS)] * 2, **strict)
    scene = fake_scene(targets=2)
    ours = whole.render(scene, mode=mode)
    dense = whole.render(scene, mode="diffusion")
    assert torch.equal(ours.images, dense.images)
    assert all(frame.steps_run == STEPS for frame in ours.report.frames)


def test_the_report_counts_each_frames_own_steps():
    own = engine_of(FramePlan(2, Walk(2)), FramePlan(8, Walk(1)))
    report = own.render(fake_scene(targets=2), mode="fine").report
    assert [frame.steps for frame in report.frames] == [2, 1]
    assert [frame.steps_run for frame in report.frames] == [2, 1]


def test_a_solver_that_the_sampler_lacks_is_one_clear_error():
    lacking = engine_of(*[FramePlan(0, Walk(3, "heun"))] * 2)
    with pytest.raises(ConfigError, match="solver 'heun'"):
        lacking.render(fake_scene(targets=2), mode="fine")


def test_walks_are_part_of_the_answer_and_checked():
    from sphinx_framework.errors import JobError

    class Short(Given):
        def start_steps(self, report, scene, quality, num_steps):
            return StartSteps(steps=(0, 0), walks=(OWN,))

    from dataclasses import replace

    fakes = fake_engine(num_steps=STEPS)
    broken = Engine(replace(fakes.components, steps=Short()), fakes.config)
    with pytest.raises(JobError, match="2 Walks, or None"):
        broken.render(fake_scene(targets=2), mode="fine")
