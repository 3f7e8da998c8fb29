"""Render generated scenes of one split into float16/uint8 memory maps that the trainers read.

    python training/render_scenes.py --split train --scenes 4500 --out training-data
    python training/render_scenes.py --split train --as textured --photos P --first 6000 --side 192

With ``--photos`` the surfaces wear crops of photographs (``photo_textures.py``). Resumable:
finished scenes are marked and skipped. Several processes may share a folder with ``--part I
--parts N``.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from memory_maps import memory_maps
from photo_textures import PhotoTextures

from sphinx_framework_lite.scenes.generate import posed_world

FRAMES, SIDE = 8, 96


def arrays(folder: Path, scenes: int, side: int = SIDE) -> dict[str, np.memmap]:
    """Open (or create) the memory maps of a folder for ``scenes`` scenes of ``side`` pixels."""
    shapes = {
        "images": ((FRAMES, side, side, 3), np.uint8),
        "depth": ((2, side, side), np.float16),
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
    parser.add_argument("--as", dest="name", help="name of the folder (default: the split)")
    parser.add_argument("--scenes", type=int, default=4500)
    parser.add_argument("--until", type=int, help="stop before this scene (default: all)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--side", type=int, default=SIDE, help="pixels")
    parser.add_argument("--photos", type=Path, help="folder of photographs to wear")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    side = options.side
    data = arrays(options.out / (options.name or options.split), options.scenes, side)
    photos = PhotoTextures(options.photos) if options.photos else None
    start = time.time()
    last = options.scenes if options.until is None else options.until
    for index in range(options.part, last, options.parts):
        if data["done"][index]:
            continue
        seed = options.first + index
        posed = posed_world(seed, split=options.split, size=(side, side), frames=FRAMES)
        if photos is not None:
            photos.dress(posed.world, seed)
        images = posed.world.images(posed.poses, posed.intrinsics, posed.size)
        data["images"][index] = np.round(images * 255).astype(np.uint8)
        ends = [0, FRAMES - 1]
        data["depth"][index] = posed.world.depth(
            posed.poses[ends], posed.intrinsics[ends], posed.size
        )
        data["poses"][index] = posed.poses
        data["intrinsics"][index] = posed.intrinsics[0]
        data["range"][index] = posed.near, posed.far
        data["done"][index] = 1
        if index % 200 < options.parts:
            print(f"{options.split} {index} {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
