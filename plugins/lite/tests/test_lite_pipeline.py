"""The shipped pipeline as a whole, against the ground truth of generated scenes."""

from dataclasses import replace

import pytest
import torch

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.metrics import psnr
from sphinx_framework.scenes.load import load_scene
from sphinx_framework_lite.config import RegressionConfig


@pytest.mark.parametrize("name", ["procedural:demo", "procedural:report/301"])
def test_the_result_is_nearer_to_the_truth_than_the_full_resolution_regression_stage(name):
    scene = load_scene(name, size=(96, 96))
    config = load_config("lite")
    assert RegressionConfig(**config.pipeline["regression"].options).stride == 1
    result = Engine.from_config(config, device="cpu").render(scene)
    before = psnr(result.coarse.images, scene.target_images).mean()
    assert float(psnr(result.images, scene.target_images).mean() - before) > 0.05


class Rectangle:
    """Marks the same rows and columns of every target."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns

    def mask(self, coarse, scene, cluster):
        marked = torch.zeros(len(scene.targets), *scene.targets.image_size, dtype=torch.bool)
        marked[:, self.rows, self.columns] = True
        return marked


def test_selective_leaves_the_pixels_of_the_regression_stage_exact_where_nothing_is_marked():
    engine = Engine.from_config(load_config("lite", ["evidence.guard=false"]), device="cpu")
    engine.components = replace(engine.components, mask=Rectangle(slice(48, 56), slice(16, 24)))
    scene = load_scene("procedural:report/301", size=(96, 96))
    result = engine.render(scene, mode="selective")
    assert all(frame.steps_run for frame in result.report.frames)
    changed = (result.images != result.coarse.images).any(1)
    assert bool(changed[:, 48:56, 16:24].any())
    # Latent cells of 4 pixels, grown by one cell, in tiles of 16 pixels.
    changed[:, 32:64, :32] = False
    assert not changed.any()
