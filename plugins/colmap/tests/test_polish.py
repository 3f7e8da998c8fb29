"""Two photos: the pose with which their matches agree best, from wherever the search began."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sphinx_framework_colmap import polish, poses
from sphinx_framework_colmap.config import ColmapConfig
from sphinx_framework_colmap.focal import FoundFocal
from sphinx_framework_colmap.mapping import Mapped
from sphinx_framework_colmap.matching import Matched

FOCAL, SIZE = 500.0, (360, 640)


def turn(x, y, z):
    """A small rotation."""
    vector = np.array([x, y, z])
    angle = np.linalg.norm(vector)
    axis = vector / angle
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def pose(rotation, centre):
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = rotation, centre
    return made


def seen(points, world_from_camera):
    inside = np.linalg.inv(world_from_camera)
    there = points @ inside[:3, :3].T + inside[:3, 3]
    return FOCAL * there[:, :2] / there[:, 2:] + np.array([SIZE[1] / 2, SIZE[0] / 2])


def model(second):
    poses = {0: np.eye(4), 1: second}
    return Mapped(focal=FOCAL, refined=FOCAL, support=1.0, poses=poses, depths=np.ones(4))


@pytest.fixture
def matches(monkeypatch, tmp_path):
    """Puts matches of a step into place; ``wrong`` of them are anything."""

    def put(truth, wrong):
        draw = np.random.default_rng(3)
        points = draw.uniform((-3, -2, 3), (3, 2, 9), (400, 3))
        first, second = seen(points, np.eye(4)), seen(points, truth)
        second += draw.normal(0, 0.3, second.shape)
        lost = draw.random(400) < wrong
        second[lost] = draw.uniform((0, 0), (640, 360), (lost.sum(), 2))
        monkeypatch.setattr(polish, "pair_matches", lambda *_: (first, second))
        return Matched(folder=tmp_path, size=SIZE, scale=1.0)

    return put


def off(found, truth):
    ways = [p[:3, 3] / np.linalg.norm(p[:3, 3]) for p in (found, truth)]
    return np.degrees(np.arccos(np.clip(ways[0] @ ways[1], -1, 1)))


@pytest.mark.parametrize("way", [(0.02, -0.03, 0.2), (0.2, 0.0, 0.02), (-0.1, 0.1, -0.1)])
@pytest.mark.parametrize("began", [(0.5, 0, 0.8), (0, 0, 1), (1, 0, 0)])
def test_a_small_step_is_found_from_a_pose_that_is_wrong(matches, way, began):
    truth = pose(turn(0.002, -0.01, 0.004), way)
    folder = matches(truth, wrong=0.15)
    found = polish.polished(folder, model(pose(turn(0.01, 0.02, 0.0), began)))
    assert off(found.poses[1], truth) < 3
    assert found.focal == FOCAL
    assert np.median(found.depths) * np.linalg.norm(way) == pytest.approx(6, rel=0.15)


def test_among_many_wrong_matches_the_pose_stays_what_it_was(matches):
    was = model(pose(turn(0.01, 0.02, 0.0), (0.5, 0, 0.8)))
    assert polish.polished(matches(pose(np.eye(3), (0, 0, 0.2)), wrong=0.6), was) is was


def test_one_camera_of_two_photos_is_left_to_be_told(monkeypatch, tmp_path):
    lone = replace(model(np.eye(4)), poses={0: np.eye(4)})
    monkeypatch.setattr(poses, "find_focal", lambda *_: FoundFocal(model=lone))
    estimator = poses.ColmapPoseEstimator(ColmapConfig(), torch.device("cpu"))
    found = estimator._model(Matched(folder=tmp_path, size=SIZE, scale=1.0), None, 2)
    assert found.model is lone
