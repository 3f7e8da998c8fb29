"""Fixtures of this plugin's tests."""

from sphinx_framework.testing.torchvision import torchvision_operators

__all__ = ["torchvision_operators"]
