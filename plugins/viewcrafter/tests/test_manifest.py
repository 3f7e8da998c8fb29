"""Keys and shapes of the official configuration, without allocating it."""

import torch
from goldens import golden

from sphinx_framework_viewcrafter.blocks import TemporalConv
from sphinx_framework_viewcrafter.checkpoint import PREFIXES, Networks, expected_shapes
from sphinx_framework_viewcrafter.config import ViewCrafterConfig
from sphinx_framework_viewcrafter.transformers import SpatialTransformer, TemporalTransformer


def test_the_default_configuration_has_exactly_the_official_keys_and_shapes() -> None:
    manifest = golden("viewcrafter_full_manifest").info["state_dict"]
    config = ViewCrafterConfig()
    with torch.device("meta"):
        networks = Networks(config)
    expected = {key: list(shape) for key, shape in expected_shapes(networks, config).items()}
    assert expected == {key: shape for key, (shape, _) in manifest.items()}


def test_the_networks_that_run_use_no_key_outside_the_official_prefixes() -> None:
    manifest = golden("viewcrafter_full_manifest").info["state_dict"]
    with torch.device("meta"):
        networks = Networks(ViewCrafterConfig())
    for part, prefix in PREFIXES.items():
        for key in networks.get_submodule(part).state_dict():
            assert prefix + key in manifest


def test_the_unet_has_the_official_number_of_parameters() -> None:
    manifest = golden("viewcrafter_full_manifest").info
    with torch.device("meta"):
        networks = Networks(ViewCrafterConfig())
    count = sum(p.numel() for p in networks.unet.parameters())
    assert count == manifest["elements_by_prefix"]["model"]


def test_the_official_unet_mixes_frames_in_22_convolutions_and_17_transformers() -> None:
    with torch.device("meta"):
        network = Networks(ViewCrafterConfig()).unet
    kinds = [type(module) for module in network.modules()]
    assert sum(issubclass(kind, TemporalConv) for kind in kinds) == 22
    assert sum(issubclass(kind, TemporalTransformer) for kind in kinds) == 17
    assert sum(issubclass(kind, SpatialTransformer) for kind in kinds) == 16
