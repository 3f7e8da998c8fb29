"""What several tests need: a tiny model, a tiny scene, goldens as the encoder's input."""

import re
from collections.abc import Callable

import pytest
import torch
from goldens import Golden

from sphinx_framework_mvsplat.config import EncoderConfig, MVSplatConfig
from sphinx_framework_mvsplat.encoder import ContextViews
from sphinx_framework_mvsplat.model import MVSplat

TINY = EncoderConfig(
    d_feature=8,
    num_depth_candidates=6,
    cnn_dims=(4, 4, 8),
    num_transformer_layers=2,
    ffn_dim_expansion=2,
    costvolume_unet_feat_dim=8,
    costvolume_unet_channel_mult=(1, 1, 1),
    costvolume_unet_attn_res=(4,),
    depth_unet_feat_dim=4,
    depth_unet_channel_mult=(1, 1, 1, 1, 1),
    depth_unet_attn_res=(16,),
    unet_head_channels=4,
    sh_degree=1,
)


@pytest.fixture(scope="session")
def tiny_config() -> MVSplatConfig:
    return MVSplatConfig(weights="random", encoder=TINY, rasterizer="torch")


@pytest.fixture(scope="session")
def tiny_model(tiny_config: MVSplatConfig) -> MVSplat:
    return MVSplat(tiny_config, torch.device("cpu"))


@pytest.fixture
def encoder_config_of() -> Callable[[Golden], EncoderConfig]:
    """The encoder that a golden describes; what our encoder fixes must be as the golden says."""

    def build(given: Golden) -> EncoderConfig:
        options = dict(given.info["config"])
        fixed = {"num_surfaces": 1, "downscale_factor": 4, "num_head": 1}
        assert {name: options.get(name, value) for name, value in fixed.items()} == fixed
        known = {
            name: value for name, value in options.items() if name in EncoderConfig.model_fields
        }
        return EncoderConfig(**known, opacity_exponent=options.get("opacity_initial", 0.0))

    return build


@pytest.fixture
def views_of() -> Callable[[Golden], ContextViews]:
    def build(given: Golden) -> ContextViews:
        tensors = given.under("in/")
        return ContextViews(
            images=tensors["image"],
            world_from_camera=tensors["extrinsics"],
            intrinsics=tensors["intrinsics"],
            near=tensors["near"],
            far=tensors["far"],
        )

    return build


@pytest.fixture
def stated_tolerances() -> Callable[[Golden], list[float]]:
    """The numbers in a golden's tolerance sentence, in their order."""

    def numbers(given: Golden) -> list[float]:
        return [float(n) for n in re.findall(r"\d+(?:\.\d+)?e-?\d+", given.info["tolerance"])]

    return numbers
