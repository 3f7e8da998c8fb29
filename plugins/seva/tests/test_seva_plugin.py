"""What the plugin declares, and its options."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from sphinx_framework.registry import Registry
from sphinx_framework_seva.config import Architecture, SevaConfig
from sphinx_framework_seva.plugin import sphinx_framework_components


def test_declares_one_non_commercial_diffusion_model_with_all_capabilities() -> None:
    (spec,) = sphinx_framework_components()
    assert (spec.kind, spec.name) == ("diffusion", "seva")
    assert spec.non_commercial
    assert "Non-Commercial" in spec.weights_licence
    assert spec.capabilities.frame_subset
    assert spec.capabilities.block_sparse


def test_is_built_by_the_registry(tiny: dict[str, Any]) -> None:
    import torch

    registry = Registry.from_specs(sphinx_framework_components())
    options = registry.options("diffusion", "seva", tiny, "test")
    model = registry.build("diffusion", "seva", options, torch.device("cpu"))
    assert type(model).__name__ == "SevaModel"


def test_spec_and_options_import_neither_torch_nor_model_libraries() -> None:
    code = (
        "import sys, sphinx_framework_seva.plugin, sphinx_framework_seva.config;"
        "assert not {'torch', 'diffusers', 'open_clip'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_channels": 48}, "multiple of 32"),
        ({"num_head_channels": 48}, "num_head_channels 48"),
        ({"transformer_depth": (1, 1)}, "differ in length"),
        ({"chunking": "nearest-0"}, "chunking"),
        ({"guider": "none"}, "guider"),
        ({"weight": "random"}, "weight"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SevaConfig(**options)


def test_all_options_are_described() -> None:
    assert all(field.description for field in SevaConfig.model_fields.values())


def test_clip_wide_transformers_follow_the_levels() -> None:
    assert Architecture().clip_wide == {"middle_ds8", "output_ds4", "output_ds2"}
    small = Architecture(channel_mult=(1, 2), attention_resolutions=(2, 1))
    assert small.clip_wide == {"middle_ds2", "output_ds2"}
