"""What several tests need: a tiny network with random weights."""

import pytest
import torch

from sphinx_framework_sharp.config import NetworkConfig, SharpConfig
from sphinx_framework_sharp.model import Sharp

TINY = NetworkConfig.model_validate(
    {
        "vit": {"embed_dim": 16, "depth": 2, "num_heads": 2, "img_size": 32, "num_classes": 3},
        "use_patch_overlap": False,
        "encoder_dims_tail": [8, 8, 8, 8],
        "hook_ids": [0, 1, 1, 1],
        "monodepth_dims_decoder": [8, 8, 8, 8, 8],
        "gaussian_decoder": {
            "dim_out": 8, "norm_num_groups": 2, "dims_decoder": [8, 8, 8, 8, 8],
        },
        "alignment": {"steps": 1, "base_width": 8},
    }
)  # fmt: skip


@pytest.fixture(scope="session")
def tiny_config() -> SharpConfig:
    return SharpConfig(weights="random", network=TINY)


@pytest.fixture(scope="session")
def tiny_model(tiny_config: SharpConfig) -> Sharp:
    return Sharp(tiny_config, torch.device("cpu"))
