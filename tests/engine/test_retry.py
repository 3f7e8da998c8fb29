"""Frames that missed their quality are refined again, the others are left alone."""

import pytest
import torch
from engines import FixedQuality, FixedSteps, engine_with

from sphinx_framework.engine.events import FrameFinal
from sphinx_framework.testing.fakes import fake_scene


class OneBadFrame:
    """Every image scores 1, except the target at ``index``."""

    def __init__(self, index: int) -> None:
        self.index = index

    def score(self, images, opacity=None):
        score = torch.ones(len(images))
        if len(images) == 4:  # the targets, not the two inputs
            score[self.index] = 0.5
        return score


def engine(steps, quality, *, retry=True, **plan):
    parts = {"steps": FixedSteps(steps), "quality": quality}
    return engine_with(parts=parts, engine={"retry": retry}, plan=plan)


def images(engine, mode="fine"):
    result = engine.render(fake_scene(), mode=mode)
    return result.images, result.report


def test_only_the_frame_that_missed_is_refined_again():
    steps = (20, 30, 50, 40)
    before, first = images(engine(steps, OneBadFrame(1), retry=False))
    after, second = images(engine(steps, OneBadFrame(1)))
    assert not torch.equal(before[1], after[1])
    assert torch.equal(before[[0, 2, 3]], after[[0, 2, 3]])
    assert [f.steps_run for f in first.frames] == [30, 20, 0, 10]
    assert [f.steps_run for f in second.frames] == [30, 20 + 35, 0, 10]
    assert any("refined again" in note for note in second.notes)


def test_a_served_frame_that_missed_is_refined_after_all():
    _, report = images(engine((20, 30, 50, 40), OneBadFrame(2)))
    assert report.frames[2].served == "refined"
    assert report.frames[2].steps_run == 25


def test_a_cap_on_the_start_step_does_not_drag_good_frames_along():
    steps = (20, 30, 40, 40)
    before, _ = images(engine(steps, OneBadFrame(1), retry=False, max_start=40))
    after, report = images(engine(steps, OneBadFrame(1), max_start=40))
    assert torch.equal(before[[0, 2, 3]], after[[0, 2, 3]])
    assert [f.steps_run for f in report.frames] == [30, 55, 10, 10]


def test_a_frame_that_started_from_the_beginning_is_not_tried_again():
    _, report = images(engine((0, 30, 50, 40), OneBadFrame(0)))
    assert report.frames[0].steps_run == 50
    assert report.frames[0].missed
    assert not any("refined again" in note for note in report.notes)


@pytest.mark.parametrize("mode", ["diffusion", "regression"])
def test_the_baselines_are_never_tried_again(mode):
    _, report = images(engine((20, 30, 50, 40), OneBadFrame(1)), mode)
    assert not any("refined again" in note for note in report.notes)


def test_nothing_is_tried_again_when_everything_is_good():
    _, report = images(engine((20, 30, 50, 40), FixedQuality(1.0, 1.0)))
    assert [f.steps_run for f in report.frames] == [30, 20, 0, 10]


def test_the_report_tells_the_start_that_counted_in_the_end():
    _, report = images(engine((20, 30, 50, 40), OneBadFrame(1)))
    assert [f.start_step for f in report.frames] == [20, 15, 50, 40]
    assert any("F15" in note for note in report.notes)


@pytest.mark.parametrize("bad", [1, 2])
def test_no_frame_is_called_final_before_it_is(bad):
    events = list(engine((20, 30, 50, 40), OneBadFrame(bad)).stream(fake_scene(), mode="fine"))
    final = {e.index: e for e in events if isinstance(e, FrameFinal)}
    assert sum(isinstance(e, FrameFinal) for e in events) == len(final) == 4
    result = events[-1].result
    for index, event in final.items():
        assert torch.equal(event.image, result.images[index])
        assert event.served == result.report.frames[index].served


def test_what_full_diffusion_cannot_reach_either_is_not_tried_again():
    steps = FixedSteps((20, 30, 50, 40), full_ratio=(1.0, 0.5, 1.0, 1.0))
    parts = {"steps": steps, "quality": OneBadFrame(1)}
    _, report = images(engine_with(parts=parts, engine={"retry": True}))
    assert not any(frame.missed for frame in report.frames)
    assert [f.steps_run for f in report.frames] == [30, 20, 0, 10]


def test_a_retried_frame_tells_the_steps_of_its_second_plan():
    _, report = images(engine((20, 30, 50, 40), OneBadFrame(1)))
    assert [(f.start_step, f.steps) for f in report.frames] == [
        (20, 30),
        (15, 35),
        (50, 0),
        (40, 10),
    ]
