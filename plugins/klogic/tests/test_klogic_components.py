import torch

from sphinx_framework.registry import Registry
from sphinx_framework_klogic.plugin import sphinx_framework_components


def test_the_step_policy_builds_with_its_default_options_and_asks_for_clip() -> None:
    registry = Registry.from_specs(sphinx_framework_components())
    options = registry.options("steps", "klogic", {}, "test")
    policy = registry.build("steps", "klogic", options, torch.device("cpu"))
    assert policy.needs_embedder
    assert policy.embedder_name == "clip"
