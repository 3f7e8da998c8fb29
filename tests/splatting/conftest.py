import pytest
from render_samples import make_cameras, make_gaussians

from sphinx_framework.types import Cameras, Gaussians


@pytest.fixture
def gaussians() -> Gaussians:
    return make_gaussians(40, seed=0)


@pytest.fixture
def cameras() -> Cameras:
    return make_cameras(3, (20, 28))
