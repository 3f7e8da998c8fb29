"""The feature distance: exact for equal images, in order over ladders, absent without the extra."""

import sys

import pytest
import torch
from torch.nn import functional as F

from sphinx_framework import load_scene
from sphinx_framework.study.evaluate.features import load_features

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos():
    return load_scene("procedural:report/3").target_images


@pytest.fixture(scope="module")
def distance():
    loaded = load_features(CPU)
    assert loaded.distance is not None, loaded.note
    return loaded.distance


def blurred(images, sigma):
    axis = torch.arange(-6, 7) / sigma
    bell = torch.exp(-0.5 * axis * axis)
    kernel = (bell[:, None] * bell / bell.sum() ** 2).expand(3, 1, -1, -1)
    return F.conv2d(F.pad(images, (6, 6, 6, 6), mode="reflect"), kernel, groups=3)


def test_equal_images_are_at_distance_zero_and_the_distance_is_symmetric(photos, distance):
    other = photos.flip(0)
    assert distance(photos, photos).max() == 0
    torch.testing.assert_close(distance(photos, other), distance(other, photos))


def test_more_blur_and_more_noise_are_farther(photos, distance):
    noise = torch.randn(photos.shape, generator=torch.Generator().manual_seed(0))
    ladders = [
        [blurred(photos, sigma) for sigma in (0.5, 0.8, 1.2, 2.0)],
        [(photos + share * noise).clamp(0, 1) for share in (0.01, 0.05, 0.2)],
    ]
    for ladder in ladders:
        found = torch.stack([distance(images, photos) for images in ladder])
        assert (found.diff(dim=0) > 0).all()


def test_without_the_extra_the_distance_is_said_to_be_not_measured(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    loaded = load_features(CPU)
    assert loaded.distance is None
    assert "sphinx-framework[perceptual]" in loaded.note
