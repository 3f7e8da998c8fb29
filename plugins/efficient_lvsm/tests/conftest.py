"""What several tests need: a tiny model, and goldens as networks."""

from collections.abc import Callable

import pytest
import torch
from goldens import Golden

from sphinx_framework_efficient_lvsm.config import EfficientLVSMConfig, NetworkConfig
from sphinx_framework_efficient_lvsm.model import EfficientLVSM
from sphinx_framework_efficient_lvsm.network import EfficientLVSMNetwork


@pytest.fixture(scope="session")
def tiny_config() -> EfficientLVSMConfig:
    return EfficientLVSMConfig(
        weights="random", network=NetworkConfig(d=32, d_head=16, n_layer=2), short_side=None
    )


@pytest.fixture
def tiny_model(tiny_config: EfficientLVSMConfig) -> EfficientLVSM:
    return EfficientLVSM(tiny_config, torch.device("cpu"))


@pytest.fixture
def sizes_of() -> Callable[[Golden], NetworkConfig]:
    def build(given: Golden) -> NetworkConfig:
        options = given.info["config"]
        return NetworkConfig(**{k: options[k] for k in NetworkConfig.model_fields if k in options})

    return build


@pytest.fixture
def network_of(sizes_of: Callable[[Golden], NetworkConfig]) -> Callable:
    def build(given: Golden) -> EfficientLVSMNetwork:
        network = EfficientLVSMNetwork(sizes_of(given))
        network.load_state_dict(given.under("param/"), strict=True)
        return network.eval().requires_grad_(False)

    return build
