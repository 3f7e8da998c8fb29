"""The classes of diffusers that this plugin is made of, imported when the first is asked for."""

from importlib import import_module
from typing import Any

from sphinx_framework.weights import ensure_torchvision_imports


def diffusers(name: str, module: str = "diffusers") -> Any:
    """A class or function of diffusers by its name."""
    ensure_torchvision_imports()  # diffusers imports torchvision where it is installed
    return getattr(import_module(module), name)
