import torch
from sphinx_framework_toy.model import Toy

from sphinx_framework.plugin import NO_PARTS
from sphinx_framework.testing.contracts import DiffusionContract


class TestToy(DiffusionContract):
    def make(self) -> Toy:
        return Toy(None, torch.device("cpu"), NO_PARTS)
