"""Time of the core's rasterizers on Gaussians as MVSplat makes them; prints one JSON object.

Two views of smooth depth go through MVSplat's own parametrisation with random raw scales,
rotations, harmonics and opacities: 131,072 Gaussians at the default size, seen from between. The
load (Gaussians in view, pixels in their tight boxes) is printed with the times, because it decides
them; ``--raw-scale 0`` makes it that of large Gaussians. numba and gsplat compile in a first call,
which is left out.

Run: ``python plugins/mvsplat/benchmarks/rasterize.py --size 256 --threads 1 --repeat 20``.
"""

import argparse
import json
import math
import statistics
import sys
import time

import numba
import torch
from torch.nn import functional

from sphinx_framework.allocator import keep_freed_memory
from sphinx_framework.splatting.contract import ALPHA_MIN, DILATION
from sphinx_framework.splatting.gaussians import render_gaussians
from sphinx_framework.splatting.harmonics import standard_from_mvsplat
from sphinx_framework.splatting.reference import project
from sphinx_framework.types import Cameras, Gaussians
from sphinx_framework_mvsplat.adapter import gaussians_of
from sphinx_framework_mvsplat.config import EncoderConfig

NEAR = 0.2
BASELINE = 0.3
RAW_SCALE = -1.25


def main() -> None:
    """Parse the arguments, run, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--targets", type=int, default=1)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--raw-scale", type=float, default=RAW_SCALE)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does
    torch.set_num_threads(options.threads)
    numba.config.NUMBA_NUM_THREADS = options.threads
    device = torch.device(options.device)
    scene = make_gaussians(options.size, options.raw_scale)
    cameras = make_cameras(options.targets, options.size)
    seen, boxes = load(scene, cameras)
    gaussians = Gaussians(
        means=scene.means.to(device),
        covariances=scene.covariances.to(device),
        harmonics=scene.harmonics.to(device),
        opacities=scene.opacities.to(device),
    )
    times = []
    for _ in range(options.repeat + 1):
        start = now(device)
        render_gaussians(gaussians, cameras, near=NEAR, backend=options.backend)
        times.append(now(device) - start)
    report = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": options.threads,
        "backend": options.backend,
        "gaussians": len(gaussians.means),
        "size": options.size,
        "targets": options.targets,
        "gaussians_in_view": seen,
        "box_pixels": boxes,
        # The first round compiles and is left out.
        "milliseconds_median": 1000 * statistics.median(times[1:]),
        "milliseconds_least": 1000 * min(times[1:]),
    }
    sys.stdout.write(json.dumps(report) + "\n")


def make_gaussians(size: int, raw_scale: float) -> Gaussians:
    """Two views beside each other, every pixel a Gaussian; standard harmonics of degree 3.

    raw_scale: mean of the network's raw scales, before their sigmoid.
    """
    generator = torch.Generator().manual_seed(0)
    config = EncoderConfig()
    pixels = size * size
    poses = torch.eye(4).repeat(1, 2, 1, 1)
    poses[0, 1, 0, 3] = BASELINE
    intrinsics = torch.tensor([[0.9, 0, 0.5], [0, 0.9, 0.5], [0, 0, 1]]).repeat(1, 2, 1, 1)
    coarse = 2 + 4 * torch.rand(2, 1, 5, 5, generator=generator)
    depths = functional.interpolate(coarse, (size, size), mode="bicubic").clamp(min=1)
    raw = torch.randn(1, 2, pixels, config.raw_channels, generator=generator)
    raw[..., 2:5] += raw_scale
    made = gaussians_of(
        raw,
        depths.view(1, 2, pixels, 1),
        torch.randn(1, 2, pixels, 1, generator=generator).sigmoid(),
        poses,
        intrinsics,
        (size, size),
        config,
        degree=3,
    ).scene(0)
    return Gaussians(
        means=made.means,
        covariances=made.covariances,
        harmonics=standard_from_mvsplat(made.harmonics),
        opacities=made.opacities,
    )


def make_cameras(count: int, size: int) -> Cameras:
    """Targets evenly between the two views."""
    poses = torch.eye(4).repeat(count, 1, 1)
    poses[:, 0, 3] = BASELINE * (torch.arange(count) + 1) / (count + 1)
    k = torch.tensor([[0.9 * size, 0, size / 2], [0, 0.9 * size, size / 2], [0, 0, 1]])
    return Cameras(
        world_from_camera=poses, intrinsics=k.repeat(count, 1, 1), image_size=(size, size)
    )


def load(gaussians: Gaussians, cameras: Cameras) -> tuple[int, int]:
    """Gaussians with pixels in the image, and the pixels of their tight boxes, over all views."""
    seen = boxes = 0
    height, width = cameras.image_size
    extent = torch.tensor([width, height])
    for i in range(len(cameras)):
        splats = project(gaussians, cameras[i], NEAR, DILATION)
        reach = 2 * (splats.opacities / ALPHA_MIN).log().clamp(min=0)
        half = (reach[:, None] * splats.covariances[:, [0, 2]]).sqrt()
        first = (splats.means - half - 0.5).ceil().clamp(min=0)
        last = (splats.means + half - 0.5).floor().minimum(extent - 1)
        pixels = (last - first + 1).clamp(min=0).prod(dim=1)
        seen += int((pixels > 0).sum())
        boxes += math.floor(pixels.double().sum())
    return seen, boxes


def now(device: torch.device) -> float:
    """Seconds, after all work on the device is done; of the processor where one thread works."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif torch.get_num_threads() == 1:
        return time.process_time()
    return time.perf_counter()


if __name__ == "__main__":
    main()
