"""Comparing a scene that was brought in some form with the clean one."""

import torch

from sphinx_framework.scenes.load import load_scene


def same(found, clean):
    """The same cameras, and the same pixels."""
    wanted = load_scene(clean)
    for ours, theirs in ((found.inputs, wanted.inputs), (found.targets, wanted.targets)):
        assert torch.allclose(ours.world_from_camera, theirs.world_from_camera, atol=1e-5)
        assert torch.allclose(ours.intrinsics, theirs.intrinsics, atol=1e-4)
    assert torch.equal(found.images, wanted.images)


def renamed(content, spell):
    """Give every frame's file another name in the JSON."""
    for index, frame in enumerate(content["frames"]):
        frame["file_path"] = spell(index)


def told(found, *parts):
    """Whether one warning says all the parts."""
    return any(all(part in warning for part in parts) for warning in found.warnings)
