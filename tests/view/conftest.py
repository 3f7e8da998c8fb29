from dataclasses import replace

import pytest
import torch

from sphinx_framework.output.results import save_result
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine
from sphinx_framework.types import Gaussians


@pytest.fixture(scope="session")
def result_folder(tmp_path_factory):
    """A result of fakes with a wall of red Gaussians before the cameras."""
    result = fake_engine(num_steps=12).render(fake_scene(targets=5, size=(32, 48)))
    x, y = torch.meshgrid(torch.linspace(-1, 1.5, 40), torch.linspace(-1, 1, 40), indexing="ij")
    means = torch.stack([x.flatten(), y.flatten(), torch.full((1600,), 2.0)], dim=1)
    red = torch.tensor([[1.7], [-1.7], [-1.7]]).expand(1600, 3, 1)
    wall = Gaussians(
        means=means,
        covariances=(0.001 * torch.eye(3)).expand(1600, 3, 3),
        harmonics=red,
        opacities=torch.full((1600,), 0.99),
    )
    result = replace(result, coarse=replace(result.coarse, gaussians=wall))
    return save_result(result, tmp_path_factory.mktemp("viewed") / "out")
