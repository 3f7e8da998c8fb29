import pytest
import torch

from sphinx_framework.registry import Registry
from sphinx_framework_masks.plugin import sphinx_framework_components


@pytest.mark.parametrize("spec", sphinx_framework_components(), ids=lambda spec: spec.name)
def test_every_component_builds_with_its_default_options(spec) -> None:
    registry = Registry.from_specs(sphinx_framework_components())
    options = registry.options("mask", spec.name, {}, "test")
    component = registry.build("mask", spec.name, options, torch.device("cpu"))
    assert callable(component.mask)
