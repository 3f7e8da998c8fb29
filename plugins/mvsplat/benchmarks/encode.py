"""Time of the encoder's parts and peak memory, with random weights; prints JSON lines.

Run: ``python plugins/mvsplat/benchmarks/encode.py --size 256 --views 2 --repeat 3``.
"""

import argparse
import json
import resource
import statistics
import sys
import time

import torch

from sphinx_framework.allocator import keep_freed_memory
from sphinx_framework_mvsplat.config import EncoderConfig, MVSplatConfig
from sphinx_framework_mvsplat.encoder import ContextViews, Encoder
from sphinx_framework_mvsplat.plane_sweep import depth_candidates, plane_sweep
from sphinx_framework_mvsplat.weights import load_weights


def main() -> None:
    """Parse the arguments, run, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--views", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does
    device = torch.device(options.device)
    config = EncoderConfig()
    with torch.device("meta"):
        encoder = Encoder(config, getattr(torch, options.dtype), degree=3)
    load_weights(encoder, MVSplatConfig(weights="random"))
    encoder = encoder.to(device).eval()
    views = make_views(options.views, options.size, device)
    times: dict[str, list[float]] = {"backbone": [], "plane_sweep": [], "encode": []}
    with torch.no_grad():
        for _ in range(options.repeat + 1):
            start = now(device)
            _, features = encoder.backbone(views.images)
            after_backbone = now(device)
            planes = depth_candidates(views.near, views.far, config.num_depth_candidates)
            plane_sweep(features, views.world_from_camera, views.intrinsics, planes)
            after_sweep = now(device)
            encoder(views)
            times["backbone"].append(after_backbone - start)
            times["plane_sweep"].append(after_sweep - after_backbone)
            times["encode"].append(now(device) - after_sweep)
    report = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "dtype": options.dtype,
        "views": options.views,
        "size": options.size,
        # The first round warms up and is left out.
        "seconds_median": {name: statistics.median(t[1:]) for name, t in times.items()},
        "peak_bytes": peak_bytes(device),
    }
    sys.stdout.write(json.dumps(report) + "\n")


def make_views(count: int, size: int, device: torch.device) -> ContextViews:
    """Noise images on a short sideways track."""
    generator = torch.Generator().manual_seed(0)
    poses = torch.eye(4).repeat(1, count, 1, 1)
    poses[0, :, 0, 3] = torch.linspace(0, 0.3, count)
    intrinsics = torch.tensor([[1.0, 0, 0.5], [0, 1.0, 0.5], [0, 0, 1]]).repeat(1, count, 1, 1)
    return ContextViews(
        images=torch.rand(1, count, 3, size, size, generator=generator).to(device),
        world_from_camera=poses.to(device),
        intrinsics=intrinsics.to(device),
        near=torch.ones(1, count, device=device),
        far=torch.full((1, count), 100.0, device=device),
    )


def now(device: torch.device) -> float:
    """Seconds, after all work on the device is done; of the processor where one thread works."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif torch.get_num_threads() == 1:
        return time.process_time()
    return time.perf_counter()


def peak_bytes(device: torch.device) -> int:
    """Peak of the device's memory, or of the process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
