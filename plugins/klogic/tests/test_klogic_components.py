import pytest
import torch

from sphinx_framework.errors import ConfigError
from sphinx_framework.registry import Registry
from sphinx_framework_klogic.plugin import sphinx_framework_components


def test_the_step_policy_with_its_default_rules_asks_for_clip() -> None:
    registry = Registry.from_specs(sphinx_framework_components())
    options = registry.options("steps", "klogic", {}, "test")
    with pytest.raises(ConfigError, match=r"3 scene clusters.*use = 'clip'"):
        registry.build("steps", "klogic", options, torch.device("cpu"))
    fixed = registry.options("steps", "klogic", {"cluster": 0}, "test")
    assert registry.build("steps", "klogic", fixed, torch.device("cpu")).rules.num_clusters == 3
