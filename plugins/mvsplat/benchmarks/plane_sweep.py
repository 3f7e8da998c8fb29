"""Time of the plane sweep at the official size, by the CPU's kernel and by all products.

One thread, processor time, least of the rounds; prints one JSON object.

Run: ``python plugins/mvsplat/benchmarks/plane_sweep.py --rounds 9``.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from sphinx_framework.allocator import keep_freed_memory
from sphinx_framework_mvsplat.config import EncoderConfig
from sphinx_framework_mvsplat.cpu_sweep import swept
from sphinx_framework_mvsplat.plane_sweep import all_pairs

# Cells, and pixels by which the images of the farthest and of the nearest plane are apart.
SIZE, SHIFTS = (64, 64), (1.0, 40.0)


def main() -> None:
    """Measure both ways on both views."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    keep_freed_memory()  # as the command line does
    torch.set_num_threads(1)
    config = EncoderConfig()
    generator = torch.Generator().manual_seed(0)
    cells = SIZE[0] * SIZE[1]
    views = torch.randn(2, config.d_feature, cells, generator=generator)
    motion = torch.eye(3), torch.tensor([1.0, 0.5, 0.0])
    planes = torch.linspace(*SHIFTS, config.num_depth_candidates)

    def kernel() -> list[Tensor]:
        return [swept(views[i].T, views[1 - i].T, motion, planes, SIZE) for i in range(2)]

    def products() -> list[Tensor]:
        return [all_pairs(views[i], views[1 - i], motion, planes, SIZE) for i in range(2)]

    for own, other in zip(kernel(), products(), strict=True):  # compiles, too
        torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-2)
    report = {
        "views": 2,
        "cells": SIZE,
        "channels": config.d_feature,
        "depths": config.num_depth_candidates,
        "kernel_seconds": least(kernel, rounds),
        "all_pairs_seconds": least(products, rounds),
    }
    sys.stdout.write(json.dumps(report) + "\n")


def least(call: Callable[[], object], rounds: int) -> float:
    """Processor seconds."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times)


if __name__ == "__main__":
    main()
