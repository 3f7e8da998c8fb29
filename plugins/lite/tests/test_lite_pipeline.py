"""The shipped pipeline as a whole, against the ground truth of generated scenes."""

import pytest

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
