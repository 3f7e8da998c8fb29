"""Direction errors of the second camera of two unposed photos, with and without refinement.

    python plugins/dust3r/benchmarks/unposed_pair.py

Synthetic pointmaps with noise, from two cameras beside each other, stand in for the network.
Printed: mean and largest angle between the found and the true translation over twelve draws, in
degrees.
"""

import math
import sys

import torch
from synthetic_pointmaps import SyntheticPointmaps

from sphinx_framework.types import Cameras
from sphinx_framework_dust3r.config import AlignmentConfig, DUSt3RConfig
from sphinx_framework_dust3r.images import preparation
from sphinx_framework_dust3r.poses import DUSt3RPoseEstimator

SIZE = (48, 96)
BASELINES = (0.1, 0.3, 1.0)
NOISES = (0.01, 0.03, 0.05)
DRAWS = 12


def direction_error(baseline: float, noise: float, seed: int, *, refine: bool) -> float:
    """Degrees between the found and the true direction from the first camera to the second."""
    poses = torch.eye(4).repeat(2, 1, 1)
    poses[1, 0, 3] = baseline
    intrinsics = torch.tensor([[80.0, 0, 48], [0, 80, 24], [0, 0, 1]]).repeat(2, 1, 1)
    cameras = Cameras(world_from_camera=poses, intrinsics=intrinsics, image_size=SIZE)
    plan = preparation(SIZE, SIZE[1])
    pointmaps = SyntheticPointmaps(cameras, plan, noise=noise, seed=seed)
    config = DUSt3RConfig(image_size=SIZE[1], alignment=AlignmentConfig(refine_poses=refine))
    estimator = DUSt3RPoseEstimator(config, torch.device("cpu"), predict=pointmaps)
    found = estimator.estimate(torch.zeros(2, 3, *SIZE)).centres
    shift = (found[1] - found[0]).double()
    return math.degrees(math.atan2(float(shift[1:].norm()), float(shift[0])))


def table() -> list[str]:
    """One line per baseline and noise."""
    lines = ["baseline  noise  PnP mean  largest  refined mean  largest"]
    for baseline in BASELINES:
        for noise in NOISES:
            figures = []
            for refine in (False, True):
                errors = [
                    direction_error(baseline, noise, seed, refine=refine) for seed in range(DRAWS)
                ]
                figures += [sum(errors) / DRAWS, max(errors)]
            mean, largest, refined_mean, refined_largest = figures
            lines.append(
                f"{baseline:8g}  {noise:5.0%}  {mean:8.2f}  {largest:7.2f}  "
                f"{refined_mean:12.2f}  {refined_largest:7.2f}"
            )
    return lines


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")
