"""Temporal consistency on a plane whose depth is known exactly."""

import math

import pytest
import torch

from sphinx_framework.study.evaluate.consistency import feature_difference, warped_difference
from sphinx_framework.testing.fakes import FakeConfig, FakeEmbedder, fake_cameras
from sphinx_framework.types import Cameras

CPU = torch.device("cpu")
SIZE = (40, 48)


def turned(cameras, degrees):
    """The same centres, each camera turned a little more to the right than the one before."""
    poses = cameras.world_from_camera.clone()
    for index in range(len(poses)):
        angle = math.radians(degrees * index)
        poses[index, 0, 0] = poses[index, 2, 2] = math.cos(angle)
        poses[index, 0, 2], poses[index, 2, 0] = math.sin(angle), -math.sin(angle)
    return Cameras(
        world_from_camera=poses, intrinsics=cameras.intrinsics, image_size=cameras.image_size
    )


def textured_plane(cameras, z=4.0):
    """Images and camera-z depth of the plane at world ``z``, painted with smooth waves."""
    height, width = cameras.image_size
    v, u = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    pixels = torch.stack([u, v, torch.ones_like(u)]).flatten(1)
    images, depths = [], []
    for pose, intrinsics in zip(cameras.world_from_camera, cameras.intrinsics, strict=True):
        rays = torch.linalg.inv(intrinsics) @ pixels
        directions = pose[:3, :3] @ rays
        depth = (z - pose[2, 3]) / directions[2]
        points = pose[:3, 3:] + directions * depth
        waves = [torch.sin(3 * points[0] + k) * torch.cos(2 * points[1] - k) for k in range(3)]
        images.append(0.5 + 0.4 * torch.stack(waves).reshape(3, height, width))
        depths.append(depth.reshape(height, width))
    return torch.stack(images), torch.stack(depths)


@pytest.fixture(params=[0.0, 3.0], ids=["straight", "turning"])
def cameras(request):
    return turned(fake_cameras(5, SIZE), request.param)


def test_frames_of_a_static_plane_agree(cameras):
    images, depth = textured_plane(cameras)
    drift = warped_difference(images, depth, cameras)
    assert drift[0].isnan()
    assert (drift[1:] < 2e-3).all()


def test_shuffled_frames_do_not(cameras):
    images, depth = textured_plane(cameras)
    drift = warped_difference(images[[3, 0, 4, 2, 1]], depth, cameras)
    assert (drift[1:] > 0.02).all()


def test_one_flickering_frame_is_the_worst(cameras):
    images, depth = textured_plane(cameras)
    images[2] = (images[2] + 0.2).clamp(0, 1)
    drift = warped_difference(images, depth, cameras)
    assert drift.nan_to_num(-1).argmax() in (2, 3)
    assert drift[2] == pytest.approx(0.18, abs=0.03)


def test_frames_that_share_no_surface_have_no_value():
    cameras = turned(fake_cameras(3, SIZE), 170.0)
    images, depth = textured_plane(fake_cameras(3, SIZE))
    assert warped_difference(images, depth, cameras).isnan().all()


def test_empty_depth_does_not_count(cameras):
    images, depth = textured_plane(cameras)
    images[1, :, :, :10] = 0
    depth[1, :, :10] = 0
    assert warped_difference(images, depth, cameras)[1] < 2e-3


def test_features_of_equal_frames_do_not_differ():
    images = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0)).repeat(3, 1, 1, 1)
    difference = feature_difference(images, FakeEmbedder(FakeConfig(), CPU), CPU)
    assert difference[0].isnan()
    assert difference[1:] == pytest.approx([0, 0], abs=1e-6)


def test_a_frame_of_another_colour_differs_in_its_features():
    images = torch.full((3, 3, *SIZE), 0.2)
    images[1, 0] = 0.9
    difference = feature_difference(images, FakeEmbedder(FakeConfig(), CPU), CPU)
    assert (difference[1:] > 0.05).all()
