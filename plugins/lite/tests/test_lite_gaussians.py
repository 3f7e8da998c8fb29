"""The Gaussians of the embedded regression stage show what its views show."""

from dataclasses import replace

import torch

from sphinx_framework.scenes.load import load_scene
from sphinx_framework.splatting.gaussians import render_gaussians
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.scenes import room_scene
from sphinx_framework_lite.config import RegressionConfig
from sphinx_framework_lite.gaussians import MOST, lifted_gaussians
from sphinx_framework_lite.predict import InputDepth
from sphinx_framework_lite.regression import LiteRegression


def decibels(first, second, where):
    error = (first - second).square().mean(1)[where].mean()
    return float(-10 * error.log10())


def test_rendered_they_look_like_the_views_and_stand_at_their_depth():
    scene = load_scene("procedural:demo", size=(96, 96))
    coarse = LiteRegression(RegressionConfig(), torch.device("cpu")).predict(scene)
    again = render_gaussians(coarse.gaussians, scene.targets)
    sure = (coarse.opacity > 0.8) & (again.opacity > 0.9)
    assert float(sure.float().mean()) > 0.6
    assert decibels(again.images.clamp(0, 1), coarse.images, sure) > 24
    depth = again.depth / again.opacity.clamp(min=1e-3)
    off = ((depth - coarse.depth).abs() / coarse.depth.clamp(min=1e-3))[sure]
    assert float(off.median()) < 0.02


def test_seen_from_its_own_camera_a_photo_comes_back():
    scene = fake_scene(size=(48, 64))
    found = InputDepth(depth=torch.full((2, 48, 64), 3.0), confidence=torch.ones(2, 48, 64))
    first = replace(scene, images=scene.images[:1], inputs=scene.inputs[[0]])
    alone = InputDepth(depth=found.depth[:1], confidence=found.confidence[:1])
    view = render_gaussians(lifted_gaussians(first, alone), first.inputs)
    assert float(view.opacity[0, 2:-2, 2:-2].min()) > 0.85
    near = view.depth / view.opacity
    torch.testing.assert_close(near[0, 2:-2, 2:-2], torch.full((44, 60), 3.0), rtol=1e-3, atol=0)
    everywhere = torch.ones(1, 48, 64, dtype=torch.bool)
    assert decibels(view.images / view.opacity[:, None], first.images, everywhere) > 35


def test_doubtful_pixels_are_left_out_and_large_photos_thinned():
    scene = room_scene(3, (640, 480))
    doubtful = torch.ones(2, 640, 480)
    doubtful[:, :, :240] = 0.01
    found = InputDepth(depth=torch.full((2, 640, 480), 2.0), confidence=doubtful)
    lifted = lifted_gaussians(scene, found)
    assert 0.45 * MOST < len(lifted.means) < 0.55 * MOST
    assert bool((lifted.means[:, 2] > 0).all())
