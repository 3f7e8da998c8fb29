"""A plugin that reads ``fake:set/N``: small scenes with ground truth, by a number."""

READER = """
import torch
from sphinx_framework.plugin import ComponentSpec, hookimpl

@hookimpl
def sphinx_framework_components():
    return [ComponentSpec(kind="scene_reader", name="fakes", factory=f"{__name__}:Reader")]

class Reader:
    def __init__(self, config, device, parts):
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
