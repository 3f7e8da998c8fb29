"""Fixtures of this plugin's tests."""

from torchvision_fixture import torchvision_operators

__all__ = ["torchvision_operators"]
