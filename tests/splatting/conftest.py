import sys
from pathlib import Path

import pytest

from sphinx_framework.types import Cameras, Gaussians

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def gaussians() -> Gaussians:
    from render_samples import make_gaussians

    return make_gaussians(40, seed=0)


@pytest.fixture
def cameras() -> Cameras:
    from render_samples import make_cameras

    return make_cameras(3, (20, 28))
