"""Scenes of fakes by name, for studies: ``fake:set/0``, ``fake:set/1`` and so on."""

import pytest

READER = """
import torch
from sphinx_framework.plugin import ComponentSpec, hookimpl

@hookimpl
def sphinx_framework_components():
    return [ComponentSpec(kind="scene_reader", name="fakes", factory=f"{__name__}:Reader")]

class Reader:
    def __init__(self, config, device):
        pass

    def can_read(self, path):
        return str(path).startswith("fake:")

    def read(self, path, **options):
        from dataclasses import replace
        from sphinx_framework.testing.fakes import fake_scene
        scene = fake_scene(targets=3, size=(16, 16), seed=int(path.name))
        truth = scene.images.mean(0, keepdim=True).repeat(3, 1, 1, 1)
        return replace(scene, target_images=truth)
"""


@pytest.fixture
def study(command, monkeypatch):
    """The command line of fakes, with ``fake:set/N`` as scenes and few denoising steps."""
    command.plugins.install("readers", READER)
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,readers,klogic")
    command.config.write_text(command.config.read_text().replace("num_steps = 12", "num_steps = 4"))
    return command
