"""Depth errors of the alignment with known poses, by learning rate and number of steps.

    python plugins/dust3r/benchmarks/known_poses.py

Synthetic pointmaps with 1 and 3 % noise from two cameras on a straight track stand in for the
network. Printed: median relative depth error over all pixels, in percent.
"""

import sys

import torch
from synthetic_pointmaps import SyntheticPointmaps

from sphinx_framework.types import Cameras
from sphinx_framework_dust3r.config import DUSt3RConfig, KnownPoseAlignmentConfig
from sphinx_framework_dust3r.images import preparation
from sphinx_framework_dust3r.solve import solve_photos

SIZE = (48, 96)
BASELINES = (0.1, 0.3, 1.0)
NOISES = (0.01, 0.03)
SETTINGS = ((1e-2, 0), (1e-3, 100), (1e-3, 300), (1e-2, 100), (1e-2, 300))


def depth_error(baseline: float, noise: float, rate: float, steps: int) -> float:
    """Median relative error of all depths."""
    poses = torch.eye(4).repeat(2, 1, 1)
    poses[1, 0, 3] = baseline
    intrinsics = torch.tensor([[80.0, 0, 48], [0, 80, 24], [0, 0, 1]]).repeat(2, 1, 1)
    cameras = Cameras(world_from_camera=poses, intrinsics=intrinsics, image_size=SIZE)
    pointmaps = SyntheticPointmaps(cameras, preparation(SIZE, SIZE[1]), noise=noise)
    alignment = KnownPoseAlignmentConfig(learning_rate=rate, iterations=steps)
    config = DUSt3RConfig(image_size=SIZE[1], alignment=alignment)
    photos = torch.zeros(2, 3, *SIZE)
    solved = solve_photos(
        photos, pointmaps, config, torch.device("cpu"), poses=poses, intrinsics=intrinsics
    )
    relative = (solved.reconstruction.depth / pointmaps.depth - 1).abs()
    return 100 * float(relative.median())


def table() -> list[str]:
    """One line per baseline and noise."""
    names = ["start" if steps == 0 else f"{rate:g} x {steps}" for rate, steps in SETTINGS]
    lines = ["baseline  noise  " + "  ".join(f"{name:>11}" for name in names)]
    for baseline in BASELINES:
        for noise in NOISES:
            errors = [depth_error(baseline, noise, rate, steps) for rate, steps in SETTINGS]
            row = "  ".join(f"{error:10.2f}%" for error in errors)
            lines.append(f"{baseline:8g}  {noise:5.0%}  {row}")
    return lines


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")
