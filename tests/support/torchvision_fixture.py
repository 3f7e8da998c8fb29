"""A pytest fixture that lets torchvision import beside a torch that its wheel was not built for."""

import importlib.util

import pytest

from sphinx_framework.weights import ensure_torchvision_imports


@pytest.fixture(scope="session")
def torchvision_operators() -> None:
    """Make torchvision importable for the session, or skip without torchvision."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    ensure_torchvision_imports()
