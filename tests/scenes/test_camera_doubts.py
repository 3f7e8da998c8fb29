"""What cameras say about each other: too close, too far apart, nothing in common."""

from dataclasses import replace

import pytest
import torch

from sphinx_framework.scenes.checks import camera_doubts
from sphinx_framework.testing.fakes import fake_cameras, fake_scene
from sphinx_framework.testing.pipeline import fake_engine
from sphinx_framework.testing.scenes import yawed
from sphinx_framework.types import Cameras


def spread(inputs: Cameras, factor: float) -> Cameras:
    poses = inputs.world_from_camera.clone()
    poses[:, :3, 3] *= factor
    return Cameras(
        world_from_camera=poses, intrinsics=inputs.intrinsics, image_size=inputs.image_size
    )


@pytest.mark.parametrize(
    ("factor", "told"),
    [(0.01, "too close together"), (1.0, None), (50.0, "add photos in between")],
)
def test_a_baseline_that_does_badly_is_told_with_numbers(factor, told):
    inputs = spread(fake_cameras(2, (32, 32)), factor)
    doubts = [d for d in camera_doubts(inputs, inputs[[0]], 1.0, 9.0) if "common" not in d]
    assert (told is None) == (not doubts)
    assert told is None or told in doubts[0]


def test_one_input_that_looks_away_from_all_others_is_named():
    inputs = fake_cameras(4, (32, 32))
    poses = inputs.world_from_camera.clone()
    poses[2, :3, :3] = yawed(torch.tensor([180.0]))[0]
    turned = Cameras(
        world_from_camera=poses, intrinsics=inputs.intrinsics, image_size=inputs.image_size
    )
    assert any(
        doubt.endswith("nothing in common with any other: 2")
        for doubt in camera_doubts(turned, inputs[[0]], 1.0, 10.0)
    )
    assert camera_doubts(inputs, inputs[[0]], 1.0, 10.0) == ()


@pytest.mark.parametrize("near", [None, 1.0])
def test_inputs_at_one_point_are_told_whether_or_not_a_range_is_known(near):
    inputs = fake_cameras(2, (32, 32))[[0, 0]]
    doubts = camera_doubts(inputs, fake_cameras(3, (32, 32)), near, near and 9.0)
    assert "all inputs stand at one point, from where no depth can be told" in doubts


@pytest.mark.parametrize(("factor", "told"), [(1e-7, True), (1e-3, False)])
def test_units_too_small_for_components_are_told(factor, told):
    inputs = spread(fake_cameras(2, (32, 32)), factor)
    targets = spread(fake_cameras(3, (32, 32)), factor)
    doubts = camera_doubts(inputs, targets, None, None)
    assert any("scale the scene up" in doubt for doubt in doubts) is told


def test_a_scene_made_by_a_host_is_looked_at_and_a_loaded_one_only_once():
    scene, engine = fake_scene(), fake_engine()
    twice = replace(scene, images=scene.images[[0, 0]], inputs=scene.inputs[[0, 0]])
    told = engine.render(twice, mode="regression").report.warnings
    assert [text for text in told if "stand at one point" in text]
    again = engine.render(replace(twice, warnings=tuple(told)), mode="regression").report.warnings
    assert len([text for text in again if "stand at one point" in text]) == 1
