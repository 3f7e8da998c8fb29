"""A finished request whose regression stage has depth and Gaussians."""

from dataclasses import replace

import pytest
import torch
from render_samples import make_gaussians

import sphinx_framework as sf
from sphinx_framework.splatting.gaussians import render_gaussians
from sphinx_framework.testing.pipeline import fake_engine
from sphinx_framework.testing.scenes import room_scene
from sphinx_framework.types import CoarseViews, Gaussians


def float32(gaussians: Gaussians) -> Gaussians:
    """Single precision, as networks give; moved in front of the room's cameras."""
    return Gaussians(
        means=gaussians.means.float() * 0.5 + torch.tensor([0.2, 0.0, 3.0]),
        covariances=gaussians.covariances.float(),
        harmonics=gaussians.harmonics.float(),
        opacities=gaussians.opacities.float(),
        scales=None if gaussians.scales is None else gaussians.scales.float(),
        rotations=None if gaussians.rotations is None else gaussians.rotations.float(),
    )


@pytest.fixture(scope="session")
def splats():
    return float32(make_gaussians(3000, seed=5))


@pytest.fixture(scope="session")
def finished(splats):
    """A rendered room: two inputs, three targets with truth, coarse views made of ``splats``."""
    scene = room_scene(5, (48, 64))
    result = fake_engine().render(scene, quality=0.9)
    views = render_gaussians(splats, scene.targets)
    seen = views.opacity > 1e-4
    coarse = CoarseViews(
        images=views.images.clamp(0, 1),
        opacity=views.opacity.clamp(0, 1),
        depth=torch.where(seen, views.depth / views.opacity.clamp(min=1e-4), 0.0),
        gaussians=splats,
    )
    return replace(result, coarse=coarse)


@pytest.fixture(scope="session")
def saved(finished, tmp_path_factory):
    """The folder of the request with everything that can be saved."""
    told = replace(finished, report=finished.report.model_copy(deep=True))
    return sf.save_result(told, tmp_path_factory.mktemp("saved") / "out", save="all", fps=10)


@pytest.fixture
def result(finished):
    """A copy whose report a test may change."""
    return replace(finished, report=finished.report.model_copy(deep=True))
