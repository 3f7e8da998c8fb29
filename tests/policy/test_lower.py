"""Lowering: what the model cannot run or what does not pay, and the notes about it."""

import torch

from sphinx_framework.plugin import Capabilities
from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.plan import PlanConfig, lower, plan

EVERYTHING = Capabilities(frame_subset=True, block_sparse=True)
CHEAP_TILES = CostModel(tiles_base=0.0, tiles_slope=1.0)
DEAR_TILES = CostModel(tiles_base=5.0, measured="a slow machine")


def selective():
    region = torch.zeros(3, 2, 2, dtype=torch.bool)
    region[0, 0, 0] = region[1, 1, 1] = True
    return plan("selective", [4, 6, 10], 10, PlanConfig(refresh_every=20), region)


def test_an_able_model_runs_the_plan_as_it_is():
    lowered = lower(selective(), EVERYTHING, CHEAP_TILES)
    assert lowered.text() == "F4 S5[0] S6[0,1] S7[0,1] S8[0,1] S9[0,1]"
    assert lowered.notes == ()


def test_a_model_without_frame_subsets_runs_full_steps_and_the_note_says_so():
    lowered = lower(selective(), Capabilities(), CHEAP_TILES)
    assert lowered.text() == "D4 D5 D6 D7 D8 D9"
    assert lowered.notes == ("5 partial steps run in full: the model has no frame subsets",)


def test_a_model_without_block_sparsity_runs_whole_frames_and_the_note_says_so():
    lowered = lower(selective(), Capabilities(frame_subset=True), CHEAP_TILES)
    assert lowered.text() == "F4 P5[0] P6[0,1] P7[0,1] P8[0,1] P9[0,1]"
    assert lowered.notes == ("5 sparse steps run whole frames: the model has no block sparsity",)


def test_tiles_that_do_not_pay_run_as_frames_and_the_note_names_the_measurement():
    lowered = lower(selective(), EVERYTHING, DEAR_TILES)
    assert "S" not in lowered.text()
    assert lowered.notes == (
        "5 sparse steps run whole frames: tiles pay below 0% of a frame (a slow machine)",
    )


def test_an_assumed_cost_is_called_assumed():
    (note,) = lower(selective(), EVERYTHING, CostModel(tiles_base=5.0)).notes
    assert "(assumed, not measured)" in note


def test_sparsity_is_decided_for_the_whole_schedule():
    region = torch.zeros(2, 2, 2, dtype=torch.bool)
    region[0, 0, 0] = True
    region[1] = True
    region[1, 0, 0] = False
    planned = plan("selective", [0, 3], 6, PlanConfig(refresh_every=20), region)
    # Alone, one quarter of frame 0 would pay; with three quarters of frame 1 after it, not.
    dear = CostModel(frames_base=0.0, frames_slope=1.0, tiles_base=0.0, tiles_slope=2.5)
    assert lower(planned, EVERYTHING, dear).text() == "F0 P1[0] P2[0] P3[0,1] P4[0,1] P5[0,1]"
    cheap = CostModel(frames_base=0.0, frames_slope=1.0, tiles_base=0.0, tiles_slope=1.0)
    assert lower(planned, EVERYTHING, cheap).text() == "F0 S1[0] S2[0] S3[0,1] S4[0,1] S5[0,1]"


def test_what_was_lowered_is_data_with_a_kind_and_a_count():
    cases = {
        "no_subsets": lower(selective(), Capabilities(), CHEAP_TILES),
        "no_sparsity": lower(selective(), Capabilities(frame_subset=True), CHEAP_TILES),
        "tiles_do_not_pay": lower(selective(), EVERYTHING, DEAR_TILES),
    }
    for kind, schedule in cases.items():
        (lowering,) = schedule.lowered
        assert (lowering.kind, lowering.steps) == (kind, 5)
