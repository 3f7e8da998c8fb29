"""The step policy that the guide shows: rules by scene cluster, without any plugin."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sphinx_framework.errors import ConfigError
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.testing.contracts import CONTRACTS
from sphinx_framework.testing.fakes import FakeConfig, FakeEmbedder

CPU = torch.device("cpu")
GUIDE = Path(__file__).parents[2] / "docs" / "writing-a-plugin.md"
RULES = """
schema = "sphinx-framework/rules/1"
name = "two places"
num_steps = 50

[clusters]
centres = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]

[[table]]
quality = 0.95
cluster = 0
rows = [[0.5, 0.8, 10], [0.8, 1.0, 20]]

[[table]]
quality = 0.95
cluster = 1
rows = [[0.5, 0.8, 5], [0.8, 1.0, 30]]
"""


@pytest.fixture
def policy(tmp_path):
    (tmp_path / "rules.toml").write_text(RULES)
    text = GUIDE.read_text(encoding="utf-8")
    snippet = text[text.index("import numpy as np\n") :].split("```")[0]
    names: dict = {}
    exec(snippet, names)
    options = SimpleNamespace(rules=str(tmp_path / "rules.toml"))
    return lambda parts: names["ClusteredSteps"](options, CPU, parts)


def test_it_holds_the_contract_of_step_policies(policy):
    embedder = FakeEmbedder(FakeConfig(), CPU)
    suite = type(
        "Documented", (CONTRACTS["steps"],), {"make": lambda _: policy(Parts(embedder=embedder))}
    )()
    for name in (n for n in dir(suite) if n.startswith("test_")):
        getattr(suite, name)()


def test_it_says_that_it_needs_an_embedder(policy):
    with pytest.raises(ConfigError, match="no embedder"):
        policy(NO_PARTS)
