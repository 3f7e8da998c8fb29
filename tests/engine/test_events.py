"""What a stream says, and when."""

import pytest
import torch
from engines import calls_of, fixed_engine

from sphinx_framework.engine.events import (
    CoarseReady,
    Finished,
    FrameFinal,
    Planned,
    StageDone,
    StepDone,
)
from sphinx_framework.errors import ConfigError
from sphinx_framework.testing.fakes import fake_scene

STEPS = (50, 20, 34, 50)


def streamed(mode="fine", steps=STEPS):
    return list(fixed_engine(steps).stream(fake_scene(), mode=mode))


def kinds(events):
    return [type(event).__name__ for event in events]


def test_coarse_views_come_first_then_the_plan_then_frames_as_they_are_final():
    order = list(dict.fromkeys(kinds(streamed())))
    assert order == ["StageDone", "CoarseReady", "Planned", "FrameFinal", "StepDone", "Finished"]


def test_the_result_is_the_last_event_and_comes_once():
    events = streamed()
    assert isinstance(events[-1], Finished)
    assert kinds(events).count("Finished") == 1


def test_every_frame_becomes_final_once_with_the_image_of_the_result():
    events = streamed()
    result = events[-1].result
    finals = [event for event in events if isinstance(event, FrameFinal)]
    assert sorted(event.index for event in finals) == [0, 1, 2, 3]
    for event in finals:
        assert torch.equal(event.image, result.images[event.index])
        assert event.served == result.report.frames[event.index].served


def test_served_frames_are_final_before_the_first_step():
    events = streamed()
    first_step = kinds(events).index("StepDone")
    early = [event.index for event in events[:first_step] if isinstance(event, FrameFinal)]
    assert early == [0, 3]


def test_steps_count_up_to_their_total():
    steps = [event for event in streamed() if isinstance(event, StepDone)]
    assert [event.done for event in steps] == list(range(1, len(steps) + 1))
    assert {event.total for event in steps} == {len(steps)}
    assert [event.action for event in steps][:3] == ["F20", "P21[2]", "P22[2]"]
    assert all(event.seconds >= 0 for event in steps)


def test_the_plan_is_told_before_diffusion_starts():
    engine = fixed_engine(STEPS)
    for event in engine.stream(fake_scene(), mode="fine"):
        if isinstance(event, Planned):
            assert calls_of(engine) == []
            assert event.schedules[0].starts == (50, 50, 20, 34, 50, 50)
            assert event.mask.shape == (4, 32, 32)
            assert event.predicted_seconds is None
            break


def test_the_coarse_views_are_there_before_anything_is_decided():
    engine = fixed_engine(STEPS)
    stream = engine.stream(fake_scene(), mode="fine")
    events = [next(stream), next(stream)]
    assert isinstance(events[0], StageDone)
    assert events[0].stage == "regression"
    assert isinstance(events[1], CoarseReady)
    assert events[1].coarse.images.shape == (4, 3, 32, 32)


def test_a_stream_that_is_dropped_half_way_gives_its_memory_back():
    engine = fixed_engine(STEPS, engine={"cache_budget_mb": 50})
    stream = engine.stream(fake_scene(), mode="fine")
    for event in stream:
        if isinstance(event, StepDone):
            break
    assert engine.caches.leased_bytes > 0
    stream.close()
    assert engine.caches.leased_bytes == 0


def test_bad_input_is_refused_at_the_call():
    with pytest.raises(ConfigError):
        fixed_engine(STEPS).stream(fake_scene(), quality=7)


def test_everything_served_is_a_stream_without_steps():
    events = streamed(steps=(50,) * 4)
    assert "StepDone" not in kinds(events)
    assert kinds(events).count("FrameFinal") == 4
