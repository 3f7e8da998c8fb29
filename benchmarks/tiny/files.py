"""The components that need a file of their own: a tiny one of each, written where it is asked for.

Each is read by the component's own loading code, as a user's file would be.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from sphinx_framework.splatting.ply import write_ply
from sphinx_framework.types import Gaussians


def stable_video(folder: Path) -> Path:
    """A stock pipeline of diffusers."""
    from tiny import stock_video

    return stock_video.saved(folder / "stable-video")


def splat_model(folder: Path) -> Path:
    """A feed-forward model of ffgs."""
    from tiny import splat_model

    return splat_model.saved(folder / "tiny-splat")


def splats(folder: Path) -> Path:
    """200 coloured balls, 2 to 6 units in front of the cameras of ``fake_scene``."""
    generator = torch.Generator().manual_seed(0)
    low, high = torch.tensor([-2.0, -2.0, 2.0]), torch.tensor([3.0, 2.0, 6.0])
    scales = 0.1 + 0.3 * torch.rand(200, 3, generator=generator)
    balls = Gaussians(
        means=low + (high - low) * torch.rand(200, 3, generator=generator),
        covariances=torch.diag_embed(scales**2),
        harmonics=torch.rand(200, 3, 1, generator=generator) - 0.5,
        opacities=0.3 + 0.6 * torch.rand(200, generator=generator),
        scales=scales,
        rotations=torch.tensor([[1.0, 0, 0, 0]]).repeat(200, 1),
    )
    write_ply(folder / "balls.ply", balls)
    return folder / "balls.ply"


# Of "kind-name": the setting that names the file, and what writes it.
FILES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "diffusion-stable-video": ("weights", stable_video),
    "regression-ffgs": ("weights", splat_model),
    "regression-splat-file": ("file", splats),
}
