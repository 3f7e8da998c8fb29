"""Render generated scenes of one split into float16/uint8 memory maps that the trainers read.

    python training/render_scenes.py --split train --scenes 4500 --out training-data

Resumable: finished scenes are marked and skipped. Several processes may share a folder with
``--part I --parts N``.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from memory_maps import memory_maps

from sphinx_framework_lite.scenes.generate import posed_world

FRAMES, SIDE = 8, 96


def arrays(folder: Path, scenes: int) -> dict[str, np.memmap]:
    """Open (or create) the memory maps of a folder for ``scenes`` scenes."""
    shapes = {
        "images": ((FRAMES, SIDE, SIDE, 3), np.uint8),
        "depth": ((2, SIDE, SIDE), np.float16),
        "poses": ((FRAMES, 4, 4), np.float32),
        "intrinsics": ((3, 3), np.float32),
        "range": ((2,), np.float32),
        "done": ((), np.uint8),
    }
    each = {name: ((scenes, *shape), kind) for name, (shape, kind) in shapes.items()}
    return memory_maps(folder, each)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", default="train")
    parser.add_argument("--scenes", type=int, default=4500)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    data = arrays(options.out / options.split, options.scenes)
    start = time.time()
    for seed in range(options.part, options.scenes, options.parts):
        if data["done"][seed]:
            continue
        posed = posed_world(seed, split=options.split, size=(SIDE, SIDE), frames=FRAMES)
        images = posed.world.images(posed.poses, posed.intrinsics, posed.size)
        data["images"][seed] = np.round(images * 255).astype(np.uint8)
        ends = [0, FRAMES - 1]
        data["depth"][seed] = posed.world.depth(
            posed.poses[ends], posed.intrinsics[ends], posed.size
        )
        data["poses"][seed] = posed.poses
        data["intrinsics"][seed] = posed.intrinsics[0]
        data["range"][seed] = posed.near, posed.far
        data["done"][seed] = 1
        if seed % 200 < options.parts:
            print(f"{options.split} {seed} {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
