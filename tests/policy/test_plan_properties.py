"""Whatever is asked for, the plan can be run and gives every frame what was decided for it."""

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.plugin import Capabilities
from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.plan import PlanConfig, lower, plan
from sphinx_framework.policy.schedule import MODES, Full, Partial

CONFIGS = st.builds(
    PlanConfig,
    refresh_every=st.integers(1, 12),
    full_tail=st.integers(0, 12),
    stride=st.integers(1, 7),
    max_steps=st.none() | st.integers(1, 12),
    max_start=st.none() | st.integers(0, 60),
    input_start=st.none() | st.integers(0, 60),
    region_max_fraction=st.sampled_from([0.3, 0.85, 1.0]),
)
CAPABILITIES = st.builds(Capabilities, frame_subset=st.booleans(), block_sparse=st.booleans())
COSTS = st.builds(
    CostModel,
    tiles_base=st.sampled_from([0.0, 0.04, 2.0]),
    tiles_slope=st.sampled_from([0.5, 1.6]),
)


@st.composite
def requests(draw):
    num_steps = draw(st.integers(1, 60))
    starts = draw(st.lists(st.none() | st.integers(0, num_steps), min_size=1, max_size=6))
    seed = draw(st.integers(0, 99))
    density = draw(st.sampled_from([0.0, 0.2, 0.8, 1.0]))
    generator = torch.Generator().manual_seed(seed)
    region = torch.rand(len(starts), 2, 3, generator=generator) < density
    return draw(st.sampled_from(MODES)), starts, num_steps, region


@given(request=requests(), config=CONFIGS)
def test_every_plan_is_a_valid_schedule(request, config):
    mode, starts, num_steps, region = request
    schedule = plan(mode, starts, num_steps, config, region)  # its invariants raise
    assert schedule.num_frames == len(starts)
    assert schedule.full_steps + schedule.partial_steps == len(schedule.actions)


@given(request=requests(), config=CONFIGS)
def test_a_frame_advances_from_its_start_on_and_not_before(request, config):
    mode, starts, num_steps, region = request
    schedule = plan(mode, starts, num_steps, config, region)
    for action in schedule.actions:
        expected = tuple(i for i, s in enumerate(schedule.starts) if s <= action.step)
        assert action.frames == expected


@given(request=requests(), config=CONFIGS)
def test_no_target_is_refined_less_than_was_decided(request, config):
    mode, starts, num_steps, region = request
    schedule = plan(mode, starts, num_steps, config, region)
    if mode != "regression":
        for asked, got in zip(starts, schedule.starts, strict=True):
            assert asked is None or got <= asked


@given(request=requests(), config=CONFIGS)
def test_the_moves_of_every_refined_target_reach_the_end(request, config):
    mode, starts, num_steps, region = request
    schedule = plan(mode, starts, num_steps, config, region)
    for frame, (asked, start) in enumerate(zip(starts, schedule.starts, strict=True)):
        moves = [a for a in schedule.actions if frame in a.frames]
        if asked is not None and start < num_steps:
            assert moves[0].step == start
            assert moves[-1].next_step == num_steps
            assert all(a.next_step == b.step for a, b in pairwise(moves))


@given(request=requests(), config=CONFIGS)
def test_no_walk_takes_more_steps_than_the_bound(request, config):
    mode, starts, num_steps, region = request
    schedule = plan(mode, starts, num_steps, config, region)
    if mode == "diffusion":
        assert len(schedule.actions) in (0, num_steps)
    elif config.max_steps is not None:
        assert len(schedule.actions) <= config.max_steps


@given(request=requests(), config=CONFIGS)
def test_no_cache_gets_older_than_a_refresh_period(request, config):
    mode, starts, num_steps, region = request
    schedule = plan(mode, starts, num_steps, config, region)
    age = 0
    for action in schedule.actions:
        age = 0 if isinstance(action, Full) else age + 1
        assert age < config.refresh_every


@given(request=requests(), config=CONFIGS, able=CAPABILITIES, cost=COSTS)
def test_lowering_keeps_every_move_and_asks_for_nothing_the_model_lacks(
    request, config, able, cost
):
    mode, starts, num_steps, region = request
    planned = plan(mode, starts, num_steps, config, region)

    lowered = lower(planned, able, cost)

    assert lowered.starts == planned.starts
    assert [(a.step, a.next_step, a.frames) for a in lowered.actions] == [
        (a.step, a.next_step, a.frames) for a in planned.actions
    ]
    for action in lowered.actions:
        if isinstance(action, Partial):
            assert able.frame_subset
            assert able.block_sparse or not action.sparse


@given(request=requests(), config=CONFIGS, able=CAPABILITIES, cost=COSTS)
def test_lowering_twice_changes_nothing_more(request, config, able, cost):
    mode, starts, num_steps, region = request
    once = lower(plan(mode, starts, num_steps, config, region), able, cost)
    assert lower(once, able, cost).text() == once.text()
