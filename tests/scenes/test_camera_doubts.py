"""What cameras say about each other: too close, too far apart, nothing in common."""

import pytest
import torch

from sphinx_framework.scenes.checks import camera_doubts
from sphinx_framework.testing.fakes import fake_cameras
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
