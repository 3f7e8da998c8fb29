"""Time of the ``opacity-blur`` mask, and of the same by plain torch; pixels that differ.

    python plugins/masks/benchmarks/masks.py [--views 19 --side 576]

Milliseconds of wall and processor time, the least of seven, on one thread. Views are smoothed
noise, sharp on one side and blurry on the other.
"""

import argparse
from collections.abc import Callable
from time import perf_counter, process_time

import cv2
import torch
import torch_masks
from torch import Tensor
from torch.nn import functional

from sphinx_framework.testing.fakes import fake_cameras
from sphinx_framework.types import CoarseViews, Scene
from sphinx_framework_masks.config import OpacityBlurConfig
from sphinx_framework_masks.policy import OpacityBlurMask

CPU = torch.device("cpu")
ROUNDS = 7


def views(count: int, side: int) -> tuple[Tensor, Tensor]:
    """Pictures and opacities, of a seed."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(count, 3, side, side, generator=generator)
    soft = functional.avg_pool2d(noise, 9, 1, 4, count_include_pad=False)
    ramp = torch.linspace(0, 1, side)
    grain = torch.rand(count, side, side, generator=generator)
    return noise * ramp + soft * (1 - ramp), (1.5 * ramp[:, None] + 0.3 * grain).clamp(0, 1)


def least(call: Callable[[], Tensor]) -> tuple[float, float]:
    """Least milliseconds of a call: wall and processor."""
    times = []
    for _ in range(ROUNDS):
        wall, processor = perf_counter(), process_time()
        call()
        times.append((1000 * (perf_counter() - wall), 1000 * (process_time() - processor)))
    return min(t[0] for t in times), min(t[1] for t in times)


def main() -> None:
    """Print a line for every blur reference, and one of plain torch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--views", type=int, default=19)
    parser.add_argument("--side", type=int, default=576)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    size = (arguments.side, arguments.side)
    images, opacity = views(arguments.views, arguments.side)
    coarse, cameras = CoarseViews(images=images, opacity=opacity), fake_cameras(len(images), size)
    scene = Scene(images=images[:2], inputs=cameras[:2], targets=cameras)
    what = f"{len(images)} views of {size[0]}x{size[1]}"

    def ours(reference: str) -> Callable[[], Tensor]:
        policy = OpacityBlurMask(OpacityBlurConfig(blur_reference=reference), CPU)
        return lambda: policy.mask(coarse, scene, None)

    def by_torch() -> Tensor:
        return torch_masks.mask(images, opacity, OpacityBlurConfig().opacity_below)

    rows = {"otsu": ours("otsu"), "inputs": ours("inputs"), "otsu by torch": by_torch}
    for name, call in rows.items():
        wall, processor = least(call)
        print(f"{name}: {wall:.0f} ms, {processor:.0f} of a processor, for {what}")
    made, other = ours("otsu")(), by_torch()
    differ = int((made != other).sum())
    print(f"{differ} of {made.numel()} pixels differ; {float(made.float().mean()):.0%} are marked")


if __name__ == "__main__":
    main()
