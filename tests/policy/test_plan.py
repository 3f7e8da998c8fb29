"""From start steps to a schedule, mode by mode and option by option."""

import pytest
import torch
from goldens import golden
from reference_rule import full_pass_rule

from sphinx_framework.policy.plan import PlanConfig, plan
from sphinx_framework.policy.schedule import Full

INPUT = None


def text(mode, starts, num_steps=10, *, region=None, **options):
    return plan(mode, starts, num_steps, PlanConfig(**options), region).text()


def region(frames, *tiles, grid=(2, 2)):
    marked = torch.zeros(frames, *grid, dtype=torch.bool)
    for tile in tiles:
        marked[tile] = True
    return marked


def test_the_reference_schedule_is_the_authors():
    fixture = golden("sphinx_partial_frames")
    info, num_steps = fixture.info, fixture.info["num_steps"]
    is_input = fixture.tensors["in/input_frame_mask"].tolist()
    starts = [
        INPUT if given else start
        for start, given in zip(info["start_steps"], is_input, strict=True)
    ]
    every, tail = full_pass_rule(info)
    config = PlanConfig(
        refresh_every=every, full_tail=num_steps - tail, input_start=tail, max_start=tail
    )

    schedule = plan("fine", starts, num_steps, config)

    kinds = ["full" if isinstance(a, Full) else "partial" for a in schedule.actions]
    assert [a.step for a in schedule.actions] == [entry["step"] for entry in info["schedule"]]
    assert kinds == [entry["mode"] for entry in info["schedule"]]
    for action, entry in zip(schedule.actions, info["schedule"], strict=True):
        computed = range(len(starts)) if entry["mode"] == "full" else action.frames
        assert list(computed) == entry["active_frames"]
    assert list(schedule.starts) == info["start_steps"]


@pytest.mark.parametrize(
    ("start", "full", "partial"),
    [
        (0, 18, 32),
        (5, 17, 28),
        (10, 16, 24),
        (15, 15, 20),
        (20, 14, 16),
        (25, 13, 12),
        (30, 12, 8),
        (35, 11, 4),
        (40, 10, 0),
    ],
)
def test_the_reference_schedule_takes_the_published_number_of_steps(start, full, partial):
    config = PlanConfig(refresh_every=5, full_tail=10, input_start=40, max_start=40)
    schedule = plan("fine", [INPUT, start, INPUT], 50, config)
    assert (schedule.full_steps, schedule.partial_steps) == (full, partial)


def test_fine_starts_every_frame_at_its_own_step():
    assert text("fine", [INPUT, 2, 6, 4, INPUT]) == (
        "F2 P3[1] P4[1,3] F5 P6[1,2,3] P7[1,2,3] P8[1,2,3] P9[1,2,3]"
    )


def test_coarse_runs_all_targets_in_full_from_the_earliest_start():
    assert text("coarse", [INPUT, 8, 7, INPUT]) == "D7 D8 D9"
    assert plan("coarse", [INPUT, 8, 7, INPUT], 10, PlanConfig()).starts == (10, 7, 7, 10)


def test_diffusion_starts_at_step_0_whatever_was_decided():
    schedule = plan("diffusion", [INPUT, 8, 10], 3 * 4, PlanConfig())
    assert schedule.starts == (12, 0, 0)
    assert schedule.text() == " ".join(f"D{i}" for i in range(12))


def test_regression_denoises_nothing():
    schedule = plan("regression", [INPUT, 0, 4], 10, PlanConfig(input_start=3))
    assert schedule.actions == ()
    assert schedule.starts == (10, 10, 10)


@pytest.mark.parametrize("mode", ["coarse", "fine", "selective"])
def test_targets_at_the_last_step_are_served_without_a_schedule(mode):
    schedule = plan(mode, [INPUT, 10, 10], 10, PlanConfig(input_start=4), region(3))
    assert schedule.actions == ()


def test_a_clip_without_targets_needs_no_step():
    assert plan("fine", [INPUT, INPUT], 10, PlanConfig()).actions == ()


def test_one_served_frame_never_advances_while_others_do():
    assert text("fine", [10, 8], refresh_every=20) == "F8 P9[1]"


def test_the_last_start_before_the_end_is_one_step():
    assert text("fine", [9, 10]) == "D9"


@pytest.mark.parametrize("start", [-1, 11])
def test_a_start_off_the_grid_is_refused(start):
    with pytest.raises(ValueError, match=rf"start step {start} is not in 0\.\.10"):
        plan("fine", [start], 10, PlanConfig())


def test_max_start_keeps_every_frame_for_the_last_steps():
    assert text("fine", [10, 10], max_start=8) == "D8 D9"


@pytest.mark.parametrize("mode", ["diffusion", "regression"])
def test_max_start_does_not_touch_the_baselines(mode):
    capped = plan(mode, [5, 10], 10, PlanConfig(max_start=3))
    assert capped.starts == plan(mode, [5, 10], 10, PlanConfig()).starts


def test_inputs_join_from_their_own_step_on():
    assert text("fine", [INPUT, 5], input_start=8, refresh_every=20) == "F5 P6[1] P7[1] D8 D9"


def test_the_full_tail_counts_steps_of_the_grid():
    assert text("fine", [4, 10], full_tail=3, refresh_every=20) == "F4 P5[0] P6[0] D7 D8 D9"


def test_a_refresh_of_every_step_never_reads_a_cache():
    assert text("fine", [6, 10], refresh_every=1) == "D6 D7 D8 D9"


def test_refreshes_are_on_the_grid_not_counted_from_the_start():
    assert text("fine", [3, 10], refresh_every=4) == "D3 F4 P5[0] P6[0] P7[0] F8 P9[0]"


def test_a_stride_visits_every_nth_step_and_ends_at_the_end():
    assert text("fine", [0, 6], stride=4, refresh_every=2) == "D0>4 D4>8 D8>10"
    assert text("fine", [0, 10], stride=4, refresh_every=2) == "F0>4 P4>8[0] D8>10"


def test_a_coarse_walk_counts_refreshes_from_its_own_start():
    assert text("fine", [4, 10], stride=2, refresh_every=3) == "F4>6 P6>8[0] P8>10[0]"


def test_a_bound_on_the_steps_spreads_the_walks_of_early_starts_only():
    assert text("fine", [0, 10], max_steps=5, refresh_every=2) == "F0>2 P2>4[0] F4>6 P6>8[0] D8>10"
    assert text("fine", [3, 10], max_steps=5, refresh_every=9) == "F3 P4[0] P5>7[0] P7[0] P8>10[0]"
    assert text("fine", [5, 10], max_steps=5, refresh_every=9) == text(
        "fine", [5, 10], refresh_every=9
    )
    assert plan("diffusion", [3, 10], 10, PlanConfig(max_steps=2)).full_steps == 10


def test_the_diffusion_baseline_visits_every_step_whatever_the_stride():
    assert plan("diffusion", [3, None], 10, PlanConfig(stride=4)).frame_steps == 20


def test_a_start_between_visited_steps_moves_to_the_earlier_one():
    schedule = plan("fine", [7, 10], 10, PlanConfig(stride=4))
    assert schedule.starts == (4, 10)


def test_selective_runs_tiles_where_a_frame_is_marked_in_part():
    schedule = text(
        "selective", [INPUT, 5, 7], region=region(3, (1, 0, 0), (2, 1, 1)), refresh_every=20
    )
    assert schedule == "F5 S6[1] S7[1,2] S8[1,2] S9[1,2]"


def test_a_frame_marked_nearly_everywhere_is_refined_whole():
    marked = region(2, (0, 0), (0, 1, 0), (1, 0, 0))  # 3 of 4 tiles of frame 0
    crowded = plan("selective", [5, 6], 10, PlanConfig(region_max_fraction=0.7), marked)
    assert crowded.region[0].all()
    assert crowded.region[1].sum() == 1
    assert (
        plan("selective", [5, 6], 10, PlanConfig(region_max_fraction=0.8), marked).region[0].sum()
        == 3
    )


def test_steps_whose_frames_are_all_whole_are_not_sparse():
    schedule = text("selective", [5, 10], region=region(2, (0,)), refresh_every=20)
    assert schedule == "F5 P6[0] P7[0] P8[0] P9[0]"


def test_planning_leaves_the_callers_region_alone():
    marked = region(1, (0, 0), (0, 1, 0))
    before = marked.clone()
    plan("selective", [5], 10, PlanConfig(region_max_fraction=0.5), marked)
    assert torch.equal(marked, before)


def test_other_modes_ignore_the_region():
    assert plan("fine", [5, 10], 10, PlanConfig(), region(2, (0, 0, 0))).region is None


def test_only_full_steps_that_a_partial_step_reads_are_recorded():
    schedule = plan("fine", [0, 4], 10, PlanConfig(refresh_every=3, full_tail=2))
    for action, follower in zip(schedule.actions, schedule.actions[1:], strict=False):
        if isinstance(action, Full):
            assert action.record == (not isinstance(follower, Full))
