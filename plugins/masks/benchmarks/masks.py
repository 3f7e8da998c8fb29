"""Seconds of the ``opacity-blur`` mask, best of seven (``--views 19 --side 576``)."""

import argparse
from time import perf_counter

import torch

from sphinx_framework.testing.fakes import fake_cameras
from sphinx_framework.types import CoarseViews, Scene
from sphinx_framework_masks.config import OpacityBlurConfig
from sphinx_framework_masks.policy import OpacityBlurMask


def main() -> None:
    """Time one mask call per blur reference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=int, default=19)
    parser.add_argument("--side", type=int, default=576)
    arguments = parser.parse_args()
    size = (arguments.side, arguments.side)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(arguments.views, 3, *size, generator=generator)
    opacity = torch.rand(arguments.views, *size, generator=generator)
    cameras = fake_cameras(arguments.views, size)
    scene = Scene(images=images[:2], inputs=cameras[:2], targets=cameras)
    for reference in ("otsu", "inputs"):
        policy = OpacityBlurMask(OpacityBlurConfig(blur_reference=reference), torch.device("cpu"))
        times = []
        for _ in range(7):
            started = perf_counter()
            policy.mask(CoarseViews(images=images, opacity=opacity), scene, None)
            times.append(perf_counter() - started)
        print(f"{reference}: {1000 * min(times):.0f} ms for {arguments.views} views of {size}")


if __name__ == "__main__":
    main()
