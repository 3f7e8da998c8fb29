"""Requests do not touch each other: two at once are two in a row, bit for bit."""

from itertools import zip_longest

import pytest
import torch
from engines import FixedMask, FixedSteps, TwoClipDiffusion, engine_with

from sphinx_framework.engine.events import Finished, StepDone
from sphinx_framework.testing.fakes import FakeConfig, fake_scene

CASES = {
    "frames": {"mode": "fine"},
    "tiles": {"mode": "selective"},
    "dense": {"mode": "diffusion"},
}


def engine():
    parts = {
        "steps": FixedSteps((4, 10, 20, 16)),
        "mask": FixedMask((3, 9, 3, 9), (20, 28, 2, 30), (1, 2, 1, 2), (15, 16, 15, 16)),
        "diffusion": TwoClipDiffusion(FakeConfig(solver="dpmpp_2m"), torch.device("cpu")),
    }
    return engine_with(parts=parts, num_steps=20)


def final(events):
    return next(event.result for event in events if isinstance(event, Finished))


def alternately(*streams):
    """All results of streams that take turns, event by event."""
    results = [None] * len(streams)
    for turn in zip_longest(*streams):
        for index, event in enumerate(turn):
            if isinstance(event, Finished):
                results[index] = event.result
    return results


@pytest.mark.parametrize(
    ("first", "second"), [("frames", "tiles"), ("tiles", "tiles"), ("dense", "frames")]
)
def test_two_interleaved_requests_equal_two_sequential_ones_bit_for_bit(first, second):
    one, other = engine(), engine()
    scenes = fake_scene(seed=1), fake_scene(seed=2)
    asked = [{**CASES[first], "seed": 4}, {**CASES[second], "seed": 9}]

    alone = [one.render(scene, **ask) for scene, ask in zip(scenes, asked, strict=True)]
    together = alternately(
        *(other.stream(scene, **ask) for scene, ask in zip(scenes, asked, strict=True))
    )

    for apart, mixed in zip(alone, together, strict=True):
        assert torch.equal(apart.images, mixed.images)
        assert apart.report.frames == mixed.report.frames
        assert apart.report.counts == mixed.report.counts
        assert apart.report.cache_bytes_peak == mixed.report.cache_bytes_peak


def test_three_requests_at_different_stages_do_not_disturb_each_other():
    shared = engine()
    scene = fake_scene()
    expected = shared.render(scene, mode="selective").images
    waiting = shared.stream(scene, mode="selective")
    for event in waiting:
        if isinstance(event, StepDone) and event.done == 7:
            break
    abandoned = shared.stream(fake_scene(seed=7), mode="fine")
    for event in abandoned:
        if isinstance(event, StepDone) and event.done == 3:
            break
    shared.render(fake_scene(seed=8), mode="fine")
    abandoned.close()
    assert torch.equal(final(waiting).images, expected)
