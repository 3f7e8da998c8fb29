"""What a schedule may be, and how it reads."""

import pytest
import torch

from sphinx_framework.policy.schedule import Full, Partial, Schedule


def full(step, *frames, to=None, record=False):
    to = step + 1 if to is None else to
    return Full(step=step, next_step=to, frames=frames, record=record)


def partial(step, *frames, to=None, sparse=False):
    to = step + 1 if to is None else to
    return Partial(step=step, next_step=to, frames=frames, sparse=sparse)


def schedule(*actions, starts=(0, 0, 0), num_steps=3, region=None):
    return Schedule(actions=actions, starts=starts, num_steps=num_steps, region=region)


GOOD = (full(0, 0, record=True), partial(1, 0, 1), full(2, 0, 1, 2))


def test_a_schedule_of_full_and_partial_steps_is_accepted():
    plan = schedule(*GOOD)
    assert plan.num_frames == 3
    assert (plan.full_steps, plan.partial_steps) == (2, 1)
    assert plan.frame_steps == 3 + 2 + 3


def test_a_schedule_without_any_step_is_accepted():
    plan = schedule()
    assert plan.frame_steps == 0
    assert plan.text() == "(nothing to denoise)"


@pytest.mark.parametrize(
    ("actions", "complaint"),
    [
        ((partial(0, 0), full(1, 0), full(2, 0)), "cannot open with a partial step"),
        ((full(0, 0), full(1, 0), full(2, 0, to=4)), "leaves the grid of 3 steps"),
        ((full(-1, 0), full(0, 0), full(1, 0), full(2, 0)), "leaves the grid"),
        ((full(0, 0, to=0), full(0, 0)), "leaves the grid"),
        ((full(0, 0), full(2, 0)), r"D2 does not continue at step 1"),
        ((full(0, 0), full(1, 0)), "must end at num_steps"),
        ((full(0), full(1, 0), full(2, 0)), "has no frames, or frames outside of the clip"),
        ((full(0, 3), full(1, 3), full(2, 3)), "frames outside of the clip"),
        ((full(0, -1), full(1, -1), full(2, -1)), "frames outside of the clip"),
        ((full(0, 0, 1), full(1, 0), full(2, 0, 1)), "drops a frame that was active before"),
        ((full(0, 0, record=True), partial(1, 1), full(2, 0, 1)), "drops a frame"),
        ((full(0, 0), partial(1, 0), full(2, 0)), "follows a full step that recorded nothing"),
        (
            (full(0, 0, record=True), partial(1, 0, sparse=True), full(2, 0)),
            "is sparse but the schedule has no region",
        ),
    ],
)
def test_a_schedule_that_the_loop_could_not_run_safely_is_refused(actions, complaint):
    with pytest.raises(ValueError, match=complaint):
        schedule(*actions)


def test_a_full_step_that_does_not_record_ends_the_life_of_the_cache():
    actions = (full(0, 0, record=True), full(1, 0), partial(2, 0))
    with pytest.raises(ValueError, match="recorded nothing"):
        schedule(*actions)


def test_a_sparse_step_is_accepted_where_there_is_a_region():
    region = torch.ones(3, 2, 2, dtype=torch.bool)
    plan = schedule(full(0, 0, record=True), partial(1, 0, sparse=True), full(2, 0), region=region)
    assert plan.partial_steps == 1


def test_the_text_says_kind_step_jump_and_frames():
    region = torch.ones(3, 2, 2, dtype=torch.bool)
    plan = schedule(
        full(0, 0, record=True),
        partial(1, 0, 2, to=5),
        partial(5, 0, 2, sparse=True),
        full(6, 0, 1, 2, to=9),
        num_steps=9,
        region=region,
    )
    assert plan.text() == "F0 P1>5[0,2] S5[0,2] D6>9"
