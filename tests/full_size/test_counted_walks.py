"""Operations of whole walks follow from their schedules."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from counted_walks import share, walked

from sphinx_framework.config import load_config
from sphinx_framework.policy.schedule import Full, Partial, Schedule
from sphinx_framework.types import StartSteps


def test_whole_clips_frames_and_tiles_count_as_what_they_compute():
    region = torch.zeros(4, 2, 2, dtype=torch.bool)
    region[1, 0, 0] = region[2] = True
    moves = (
        Full(step=0, next_step=1, frames=(1, 2), record=True),
        Partial(step=1, next_step=2, frames=(1, 2)),
        Partial(step=2, next_step=3, frames=(1, 2), sparse=True),
    )
    schedule = Schedule(actions=moves, starts=(3, 0, 0, 3), num_steps=3, region=region)
    assert share(schedule) == pytest.approx(1 + 2 / 4 + 2 / 4 * 5 / 8)


class All30:
    def start_steps(self, report, scene, quality, num_steps):
        return StartSteps(steps=(30,) * len(scene.targets))


def test_a_dense_walk_is_fifty_steps_and_the_method_takes_less():
    config = load_config("seva-mvsplat")
    dense, fine, selective = (
        share(walked(config, All30(), 21, mode, 0.95))
        for mode in ("diffusion", "fine", "selective")
    )
    assert dense == 50
    assert selective < fine < 20
