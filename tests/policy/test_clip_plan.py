"""Starts, regions and kept tiles between the targets of a request and the latents of its clips."""

import torch

from sphinx_framework.plugin import Capabilities
from sphinx_framework.policy.clip_plan import Planner, refined_tiles, target_starts
from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.plan import PlanConfig
from sphinx_framework.types import ClipLayout, Slot

INPUT = Slot(kind="input", index=0)
SHARED = ClipLayout(
    slots=(INPUT, Slot(kind="target", index=1), Slot(kind="target", index=0)),
    latents=((0,), (1, 2)),
)


def planner(**config):
    able = Capabilities(frame_subset=True, block_sparse=True)
    return Planner(num_steps=10, config=PlanConfig(**config), capabilities=able, cost=CostModel())


def halves():
    """Target 0 is marked on the left, target 1 on the right."""
    region = torch.zeros(2, 2, 2, dtype=torch.bool)
    region[0, :, 0] = region[1, :, 1] = True
    return region


def test_a_latent_starts_with_the_earliest_of_its_targets_and_both_are_told():
    schedules = planner().schedules("fine", [SHARED], [7, 3])
    assert schedules[0].starts == (10, 3)
    assert target_starts([SHARED], schedules, 2) == (3, 3)


def test_targets_of_a_latent_that_is_refined_whole_keep_no_tiles():
    schedules = planner().schedules("selective", [SHARED], [3, 3], halves())
    assert refined_tiles([SHARED], schedules, halves()).all()


def test_what_is_crowded_for_the_schedule_is_crowded_for_what_is_kept():
    alone = [ClipLayout(slots=(Slot(kind="target", index=i),)) for i in (0, 1)]
    for limit, whole in ((0.4, True), (0.6, False)):
        schedules = planner(region_max_fraction=limit).schedules(
            "selective", alone, [3, 3], halves()
        )
        refined = refined_tiles(alone, schedules, halves())
        assert bool(refined.all()) == whole
        assert all(torch.equal(s.region[0], refined[i]) for i, s in enumerate(schedules))


def test_the_second_plan_halves_missed_starts_and_holds_the_others_whatever_the_latest_start():
    starts, schedules = planner(max_start=8).again([SHARED], (6, 6), [1])
    assert starts == (10, 3)
    assert schedules[0].starts == (10, 3)
    starts, schedules = planner(max_start=8).again([SHARED], (6, 6), [])
    assert not schedules[0].actions
