import pytest
import torch

from sphinx_framework.errors import ConfigError
from sphinx_framework.registry import Registry
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.types import QualityReport, Walk
from sphinx_framework_klogic.config import FixedConfig
from sphinx_framework_klogic.fixed import FixedSteps


def starts(quality, num_steps=50, ratio=0.5):
    scene = fake_scene()
    values = torch.full((len(scene.targets),), ratio)
    report = QualityReport(
        score=values, reference=torch.ones_like(values), ratio=values, input_score=torch.ones(2)
    )
    policy = FixedSteps(FixedConfig(start=35), torch.device("cpu"))
    return policy.start_steps(report, scene, quality, num_steps)


@pytest.mark.parametrize(("num_steps", "expected"), [(50, 35), (2, 1), (10, 7), (1, 0)])
def test_every_frame_starts_at_the_same_share_of_any_grid(num_steps, expected):
    chosen = starts(0.9, num_steps)
    assert set(chosen.steps) == {expected}


def test_a_start_between_the_steps_of_50_is_a_step_of_100():
    policy = FixedSteps(FixedConfig(start=22.5), torch.device("cpu"))
    assert policy.start_steps(None, fake_scene(), 0.9, 100).steps == (45,) * 4


def test_neither_quality_nor_ratio_moves_the_start_and_the_notes_say_so():
    assert starts(0.5, ratio=0.1).steps == starts(1.0, ratio=2.0).steps
    assert "does not move it" in starts(0.9).notes[0]


@pytest.mark.parametrize("start", [-1, 51, "late"])
def test_a_start_off_the_grid_is_refused_by_name(start):
    with pytest.raises(ConfigError, match="start"):
        Registry.from_entry_points().options("steps", "fixed", {"start": start}, "here")


def test_a_fixed_plan_is_start_steps_and_solver():
    config = FixedConfig(start=40, steps=3, solver="dpmpp_2m")
    chosen = FixedSteps(config, torch.device("cpu")).start_steps(None, fake_scene(), 0.9, 50)
    assert chosen.walks == (Walk(3, "dpmpp_2m"),) * 4
    assert set(chosen.steps) == {40}
