"""The same scene in every format is rendered to the same pixels, by the embedded models."""

from dataclasses import replace

import pytest
import torch
from scene_formats import WRITERS, loaded_from

from sphinx_framework.registry import Registry
from sphinx_framework.scenes.images import to_uint8


@pytest.fixture(scope="module")
def regression():
    registry = Registry.from_entry_points()
    options = registry.options("regression", "lite", {}, "test")
    return registry.build("regression", "lite", options, torch.device("cpu"))


def rendered(regression, scene):
    """The first and the last target, as bytes."""
    return to_uint8(regression.predict(replace(scene, targets=scene.targets[[0, -1]])).images)


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_is_rendered_to_the_same_pixels(regression, turned, tmp_path, name):
    clean, poses, wanted = turned
    found = loaded_from(name, clean, poses, tmp_path / "other")
    # Depths may be stated (COLMAP, LLFF); the search is over the same range for both.
    ends = {"near": 1.0, "far": 9.0, "target_images": None, "order": None}
    ours, theirs = (rendered(regression, replace(s, **ends)) for s in (found, wanted))
    # Poses differ in the seventh digit, which may round a byte the other way.
    assert (ours.int() - theirs.int()).abs().float().mean() < 0.05
    assert (ours != theirs).float().mean() < 0.02


def test_a_camera_moved_by_a_hundredth_is_rendered_to_other_pixels(regression, turned):
    _, _, wanted = turned
    wanted = replace(wanted, near=1.0, far=9.0, target_images=None, order=None)
    poses = wanted.targets.world_from_camera.clone()
    poses[:, :3, 3] += 0.01
    other = replace(wanted, targets=replace(wanted.targets, world_from_camera=poses))
    ours, theirs = rendered(regression, wanted), rendered(regression, other)
    assert (ours != theirs).float().mean() > 0.02
