"""The configuration that the step benchmark times: all of the official network's structure."""

from pathlib import Path

import torch

from sphinx_framework.config import load_config
from sphinx_framework.geometry.stretches import clips_along_the_path
from sphinx_framework.scenes.load import load_scene
from sphinx_framework_viewcrafter.config import ViewCrafterConfig
from sphinx_framework_viewcrafter.network import UNet
from sphinx_framework_viewcrafter.transformers import TemporalTransformer

FILE = Path(__file__).parents[3] / "benchmarks" / "viewcrafter_small.toml"


def test_its_clip_has_the_official_25_frames() -> None:
    config = load_config(str(FILE), [])
    scene = load_scene("procedural:demo", size=config.size, targets="interpolate:23")
    options = ViewCrafterConfig.model_validate(config.pipeline["diffusion"].options)
    assert [len(clip) for clip in clips_along_the_path(scene, options.clip_frames)] == [25]


def test_its_network_mixes_frames_on_all_four_levels() -> None:
    config = load_config(str(FILE), [])
    options = ViewCrafterConfig.model_validate(config.pipeline["diffusion"].options)
    official = ViewCrafterConfig().unet
    assert options.unet.channel_mult == official.channel_mult
    assert options.unet.attention_resolutions == official.attention_resolutions
    with torch.device("meta"):
        network = UNet(options.unet)
    temporal = [m for m in network.modules() if isinstance(m, TemporalTransformer)]
    levels = len(official.attention_resolutions)
    per_level = options.unet.num_res_blocks * 2 + 1
    # Those of the levels down and up, one in the middle, one at the start.
    assert len(temporal) == levels * per_level + 2
